import { request } from 'node:http';
import { type TurnTenantStatus, turnTenantListSchema } from '@orama/protocol';

/** One call on a TURN server's control socket; resolves with what it answers, rejects when that is an error. */
export async function callTurnControl(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const asked = request({ socketPath, method, path, timeout: 5_000 }, (response) => {
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
  if (status >= 400) throw new Error(`${method} ${path} was answered with ${status}: ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** The tenants that a TURN server has attached. */
export async function turnTenants(socketPath: string): Promise<TurnTenantStatus[]> {
  return turnTenantListSchema.parse(await callTurnControl(socketPath, 'GET', '/tenants')).tenants;
}
