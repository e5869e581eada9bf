import { request } from 'node:http';
import { type TurnTenantStatus, turnTenantListSchema } from '@orama/protocol';

/** The tenants that a TURN server has attached, asked over its control socket. */
export async function turnTenants(socketPath: string): Promise<TurnTenantStatus[]> {
  const text = await new Promise<string>((resolve, reject) => {
    const asked = request({ socketPath, path: '/tenants', timeout: 5_000 }, (response) => {
      response.setEncoding('utf8');
      let body = '';
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
    });
    asked.on('error', reject);
    asked.end();
  });
  return turnTenantListSchema.parse(JSON.parse(text)).tenants;
}
