import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CertificateAuthority } from '@orama/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { ControlplaneClient } from './controlplane-client.ts';

const TOKEN = `orama_op_0123456789abcdef.${'s'.repeat(43)}`;

async function gateway(answer: RequestListener, tls?: { cert: string; key: string }): Promise<ControlplaneClient> {
  const server = tls ? createTlsServer(tls, answer) : createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return new ControlplaneClient({ gateway: url, token: TOKEN, timeoutMs: 500 });
}
const json = { 'content-type': 'application/json' };

test('a call through a gateway carries the token, below the prefix of operators', async () => {
  const seen: unknown[] = [];
  const client = await gateway(({ method, url, headers }, response) => {
    seen.push([method, url, headers.authorization]);
    response.writeHead(200, json).end('{"tokens":[]}');
  });
  expect(await client.operatorTokens()).toEqual([]);
  expect(seen).toEqual([['GET', '/v1/operator/operator-tokens', `Bearer ${TOKEN}`]]);
});

test('each call has a connection of its own, as one that is kept may be closed under the next call', async () => {
  const sockets = new Set<unknown>();
  const client = await gateway(({ socket }, response) => {
    sockets.add(socket);
    response.writeHead(200, json).end('{"tokens":[]}');
  });
  for (let call = 0; call < 3; call++) await client.operatorTokens();
  expect(sockets.size).toBe(3);
});

test('the token does not follow a redirect', async () => {
  const seen: unknown[] = [];
  const client = await gateway(({ url }, response) => {
    seen.push(url);
    response.writeHead(302, { location: '/elsewhere' }).end('moved');
  });
  await expect(client.leases()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('302') });
  expect(seen).toEqual(['/v1/operator/leases']);
});

test.each([
  [502, 'text/plain', 'bad gateway'],
  [404, 'text/html', '<html>not here</html>'],
  [200, 'text/html', '<html>welcome</html>'],
  [200, 'application/json', ''],
])('an answer %i of somebody else (%s) is told as that, with the next step', async (status, type, body) => {
  const client = await gateway((_request, response) => response.writeHead(status, { 'content-type': type }).end(body));
  await expect(client.leases()).rejects.toMatchObject({
    ...{ code: 'UNAVAILABLE', message: expect.stringContaining(`it answered ${status}`) },
    hint: expect.stringContaining('url of the environment'),
  });
});

test('a refusal keeps its code and next step; silence is a timeout, and a certificate of strangers is told as that', async () => {
  const refusal = { error: { code: 'FORBIDDEN', message: 'no', hint: 'ask', retryable: false } };
  const refusing = await gateway((_request, response) => response.writeHead(403, json).end(JSON.stringify(refusal)));
  await expect(refusing.leases()).rejects.toMatchObject({ code: 'FORBIDDEN', hint: 'ask' });
  const silent = await gateway(() => {});
  await expect(silent.leases()).rejects.toMatchObject({ code: 'TIMEOUT' });
  const authority = new CertificateAuthority();
  onTestFinished(() => authority.close());
  const strange = await gateway(() => {}, authority.issue('127.0.0.1'));
  await expect(strange.leases()).rejects.toMatchObject({
    ...{ code: 'UNAVAILABLE', retryable: false, hint: expect.stringContaining('caFile') },
  });
});
