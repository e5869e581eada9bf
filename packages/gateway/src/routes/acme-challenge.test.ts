import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { AcmeAuthority, CaddyServer, waitFor } from '@orama/testkit';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { Bed, type RunningGateway } from '../../testing/bed.ts';
import { call } from '../../testing/client.ts';

// Two nodes with a Caddy each. The authority comes to the second for what the first has asked for.
const FIRST = '127.83.2.1';
const SECOND = '127.83.2.2';
const HTTP_PORT = 8080;
const TURN = 'turn.ns-demo.orama.test';

let authority: AcmeAuthority;
let bed: Bed;
let gateway: RunningGateway;
const caddys = [new CaddyServer(FIRST), new CaddyServer(SECOND)] as const;

beforeAll(async () => {
  authority = await AcmeAuthority.start({ address: FIRST, namesLeadTo: SECOND, httpPort: HTTP_PORT });
  bed = await Bed.open(['demo']);
  for (const [index, { publicIp6: _none, ...node }] of (await bed.store.nodes.list()).entries())
    await bed.store.nodes.register({ ...node, publicIp: `127.83.2.${index + 1}` });
  gateway = await bed.startGateway({ config: { node: 'node-2', acmeChallengePort: HTTP_PORT } });
});
afterAll(async () => {
  for (const caddy of caddys) await caddy.close();
  await bed?.close();
  await authority?.close();
});

/** As deploy/Caddyfile: what Caddy cannot answer goes to the node's gateway. */
const caddyOf = (address: string, tls: object) => ({
  apps: {
    http: {
      http_port: HTTP_PORT,
      servers: {
        http: {
          listen: [`${address}:${HTTP_PORT}`],
          routes: [
            {
              match: [{ path: ['/.well-known/acme-challenge/*'] }],
              handle: [{ handler: 'reverse_proxy', upstreams: [{ dial: new URL(gateway.url).host }] }],
            },
          ],
        },
      },
    },
    tls,
  },
});

it('a name is proved by a challenge that comes to another node than the one that asked', async () => {
  const [first, second] = caddys;
  await second.start(caddyOf(SECOND, {}));
  const issuer = { module: 'acme', ca: authority.directory, trusted_roots_pem_files: [authority.caFile] };
  const challenges = { 'tls-alpn': { disabled: true } };
  await first.start(
    caddyOf(FIRST, {
      certificates: { automate: [TURN] },
      automation: { policies: [{ issuers: [{ ...issuer, challenges }] }] },
    }),
  );
  const { host } = new URL(authority.directory);
  const folder = join(first.storage, 'certificates', `${host.replace(':', '-')}-dir`, TURN);
  await waitFor('the certificate', () => existsSync(join(folder, `${TURN}.crt`)));
});

it.each([
  ['a token that nobody has', { host: TURN }, 'nothing'],
  ['a name that is not ours', { host: 'turn.example.org' }, 'nothing'],
  ['what is no token', { host: TURN }, 'a%2f..%2fb'],
])('%s is not found', async (_what, { host }, token) => {
  const answer = await call(gateway, 'GET', `/.well-known/acme-challenge/${token}`, { key: null, host });
  expect(answer.status).toBe(404);
});

it('a question of another node is answered here or not at all, and ours says that it is one', async () => {
  const heard: IncomingHttpHeaders[] = [];
  const third = createServer((request, response) => {
    heard.push(request.headers);
    response.end(`${request.url?.split('/').at(-1)}.proof`);
  }).listen(HTTP_PORT, '127.83.2.3');
  onTestFinished(() => void third.close());
  await once(third, 'listening');
  const ask = (headers: Record<string, string>) =>
    call(gateway, 'GET', '/.well-known/acme-challenge/token', { key: null, host: TURN, headers });
  expect(await ask({})).toMatchObject({ status: 200, body: 'token.proof' });
  expect(heard).toMatchObject([{ host: TURN, 'orama-acme-challenge': '1' }]);
  expect(await ask({ 'orama-acme-challenge': '1' })).toMatchObject({ status: 404 });
  expect(heard).toHaveLength(1);
});

it('a source that asks on and on is not carried to the other nodes for each', async () => {
  const ask = () => call(gateway, 'GET', '/.well-known/acme-challenge/nothing', { key: null, host: TURN });
  const statuses: number[] = [];
  for (let asked = 0; asked < 40 && statuses.at(-1) !== 429; asked += 1) statuses.push((await ask()).status);
  expect(statuses.slice(0, 10)).toEqual(statuses.slice(0, 10).fill(404));
  expect(statuses.at(-1)).toBe(429);
});

it('is not there unless configured', async () => {
  const without = await bed.startGateway();
  const answer = await call(without, 'GET', '/.well-known/acme-challenge/x', { key: null, host: TURN });
  expect(answer.body).toMatchObject({ error: { message: 'there is no GET /.well-known/acme-challenge/x here' } });
});
