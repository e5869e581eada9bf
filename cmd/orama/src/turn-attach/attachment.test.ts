import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { issueTurnCredentials } from '@orama/core';
import { EXIT, type TurnTenantInput, turnTenantListSchema } from '@orama/protocol';
import { TurnClient } from '@orama/turn/client';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ORAMA = fileURLToPath(new URL('../main.ts', import.meta.url));
const TURN = fileURLToPath(new URL('../../../turn/src/main.ts', import.meta.url));
const SECRET = 'a secret that nobody sees';

let dir: string;
let socketPath: string;
let tenantFile: string;
const children: ReturnType<typeof spawn>[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'orama-attach-'));
  socketPath = join(dir, 'turn.sock');
  tenantFile = join(dir, 'tenant.json');
  writeFileSync(
    join(dir, 'turn.json'),
    JSON.stringify({
      node: 'node-1',
      listen: ['127.97.30.2'],
      tls: false,
      // On threads, as on a node.
      workers: 2,
      realm: 'orama.localhost',
      controlSocket: socketPath,
      internal: { address: '127.97.30.1' },
    }),
  );
  want({});
});
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child, 'SIGKILL');
  rmSync(dir, { recursive: true });
});

/** Writes what is to be attached, as a controlplane does. */
function want(changes: Partial<TurnTenantInput>): void {
  const tenant: TurnTenantInput = {
    namespace: 'demo',
    secrets: [SECRET],
    relay: { address: '127.97.30.1', portStart: 50_000, portEnd: 50_099 },
    peers: [],
    generation: 1,
    ...changes,
  };
  writeFileSync(tenantFile, JSON.stringify(tenant));
}

const NODE = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
function startTurn() {
  const turn = spawn(process.execPath, [...NODE, TURN, '--config', join(dir, 'turn.json')], { stdio: 'ignore' });
  children.push(turn);
  return turn;
}
const attach = () =>
  execa(
    process.execPath,
    [...NODE, ORAMA, 'turn', 'attach', '--namespace', 'demo', '--tenant-file', tenantFile].concat(
      ...['--control-socket', socketPath],
    ),
    { reject: false },
  );
async function kill(child: ReturnType<typeof spawn>, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}
/** Generations of the tenants that the server has; null while it does not answer. */
function generations(): Promise<number[] | null> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/tenants' }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve(turnTenantListSchema.parse(JSON.parse(text)).tenants.map(({ generation }) => generation)),
      );
    });
    asked.on('error', () => resolve(null));
    asked.end();
  });
}
const waitFor = (wanted: number[] | null) => expect.poll(generations, { timeout: 20_000 }).toEqual(wanted);

test('orama turn attach attaches, again to another server and with other settings, and SIGTERM detaches', async () => {
  const running = attach();
  const first = startTurn();
  await waitFor([1]);
  expect(readFileSync(`/proc/${running.pid}/cmdline`, 'utf8')).not.toContain(SECRET);
  await kill(first, 'SIGKILL');
  startTurn();
  await waitFor([1]);
  want({ maxAllocations: 5, generation: 2 });
  await waitFor([2]);
  running.kill('SIGTERM');
  const { exitCode, stdout } = await running;
  expect(exitCode).toBe(EXIT.done);
  expect(await generations()).toEqual([]);
  expect(stdout).toMatch(/"reason":"the server did not have it","msg":"attached"/);
  expect(stdout).toMatch(/"reason":"its settings changed","msg":"attached"/);
  expect(stdout).toMatch(/"reason":"its unit was stopped","allocations":0,.*"msg":"detached"/);
  expect(stdout).not.toContain(SECRET);
});

test('orama turn attach tells what the server logs of its namespace, up to its end', async () => {
  const running = attach();
  startTurn();
  await waitFor([1]);
  const client = await TurnClient.open({
    ...{ transport: 'udp', server: { address: '127.97.30.2', port: 3478 }, localAddress: '127.97.30.9' },
    ...issueTurnCredentials({ namespace: 'demo', secret: SECRET, uris: [], ttlSec: 600, nowMs: Date.now() }),
  });
  await client.allocate();
  running.kill('SIGTERM');
  const lines = (await running).stdout.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  await client.close();
  const told = lines.filter(({ alloc }) => alloc !== undefined);
  expect(told).toMatchObject([
    { ns: 'demo', transport: 'udp', at: expect.any(String), msg: 'allocation opened' },
    { ns: 'demo', reason: 'tenant-detached', at: expect.any(String), msg: 'allocation ended' },
  ]);
  expect(lines.at(-1)).toMatchObject({ msg: 'detached' });
});

test('orama turn attach says once that a server does not hand over its lines', async () => {
  const status = { namespace: 'demo', generation: 1, digest: 'of another', allocations: 0 };
  const unknown = { code: 'NOT_FOUND', message: 'there is no such call', retryable: false };
  let asked = 0;
  const server = createServer(({ method, url }, response) => {
    if (url === '/tenants') response.end(JSON.stringify({ tenants: [status] }));
    else if (method === 'PUT') response.end(JSON.stringify(status));
    else if (method === 'DELETE') response.writeHead(204).end();
    else if (url === '/usage') response.writeHead(404).end(JSON.stringify({ error: unknown }));
    else response.writeHead(500).end();
    if (url === '/tenants/demo/lines') asked += 1;
  }).listen(socketPath);
  const running = attach();
  await expect.poll(() => asked).toBe(1);
  running.kill('SIGTERM');
  const { stdout } = await running;
  server.close();
  // At its end once more, and as often before as it took a busy machine.
  expect(asked).toBeGreaterThanOrEqual(2);
  expect(stdout.match(/"msg":"what the server logs of it cannot be told"/g)).toHaveLength(1);
});

test('orama turn attach keeps what was wanted last while its file is gone or broken, and says why it is detached', async () => {
  const running = attach();
  const first = startTurn();
  await waitFor([1]);
  writeFileSync(tenantFile, '{');
  await kill(first, 'SIGKILL');
  startTurn();
  await waitFor([1]);
  rmSync(tenantFile);
  running.kill('SIGTERM');
  const { stdout } = await running;
  expect(await generations()).toEqual([]);
  expect(stdout).toMatch(/"reason":"this node serves the namespace no more".*"msg":"detached"/);
});

test('orama turn attach says what is missing while it waits for it', async () => {
  rmSync(tenantFile);
  const running = attach();
  const [said] = (await once(running.stdout, 'data')) as [Buffer];
  expect(String(said)).toContain(`configuration file ${tenantFile} cannot be read`);
  want({});
  const [then] = (await once(running.stdout, 'data')) as [Buffer];
  expect(String(then)).toContain('no TURN server runs on this node');
  running.kill('SIGTERM');
  expect((await running).exitCode).toBe(EXIT.done);
});
