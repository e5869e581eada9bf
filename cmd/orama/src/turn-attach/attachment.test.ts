import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { callTurn } from '@orama/controlplane/turn-control';
import { closeServer, createInternalServer, listen, OramaError } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import {
  EXIT,
  type TurnTenantInput,
  turnTenantListSchema,
  turnTenantSchema,
  turnTenantStatusSchema,
} from '@orama/protocol';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ORAMA = fileURLToPath(new URL('../main.ts', import.meta.url));
const TURN = fileURLToPath(new URL('../../../turn/src/main.ts', import.meta.url));
const API = { address: '127.97.30.1', port: 6001 };
const SECRET = 'a secret that nobody sees';

let dir: string;
let socketPath: string;
let settings: TurnTenantInput | null;
let kept: boolean;
let refusal: OramaError;
let api: Server;
const children: ReturnType<typeof spawn>[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'orama-attach-'));
  socketPath = join(dir, 'turn.sock');
  writeFileSync(join(dir, 'cluster.key'), '0'.repeat(64), { mode: 0o600 });
  writeFileSync(
    join(dir, 'turn.json'),
    JSON.stringify({
      node: 'node-1',
      listen: ['127.97.30.2'],
      tls: false,
      workers: 1,
      realm: 'orama.localhost',
      controlSocket: socketPath,
      internal: { address: '127.97.30.1' },
    }),
  );
  kept = false;
  refusal = new OramaError('WEBRTC_NOT_ENABLED', 'not here');
  settings = {
    namespace: 'demo',
    secrets: [SECRET],
    relay: { address: '127.97.30.1', portStart: 50_000, portEnd: 50_099 },
    peers: [],
    generation: 1,
  };
  // Stands in for the controlplane: all that matters here is which tenant it wants.
  api = createInternalServer(({ path }) => {
    if (path !== '/v1/internal/tenants/demo') return undefined;
    if (!settings) throw refusal;
    return { status: 200, body: { tenant: turnTenantSchema.parse(settings), controlSocket: socketPath, kept } };
  }, silentLogger);
  await listen(api, API);
});
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child, 'SIGKILL');
  await closeServer(api);
  rmSync(dir, { recursive: true });
});

const NODE = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
function startTurn() {
  const turn = spawn(process.execPath, [...NODE, TURN, '--config', join(dir, 'turn.json')], { stdio: 'ignore' });
  children.push(turn);
  return turn;
}
const attach = () =>
  execa(
    process.execPath,
    [...NODE, ORAMA, 'turn', 'attach', '--namespace', 'demo', '--api', `http://${API.address}:${API.port}`].concat(
      ...['--cluster-key-file', join(dir, 'cluster.key')],
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
  settings = { ...(settings as TurnTenantInput), maxAllocations: 5, generation: 2 };
  await waitFor([2]);
  await closeServer(api);
  running.kill('SIGTERM');
  const { exitCode, stdout } = await running;
  expect(exitCode).toBe(EXIT.done);
  expect(await generations()).toEqual([]);
  expect(stdout).toContain('"msg":"detached"');
  expect(stdout).not.toContain(SECRET);
});

test('orama turn attach ends with 5, detached, once the node is to serve the namespace no more', async () => {
  const running = attach();
  startTurn();
  await waitFor([1]);
  settings = null;
  const { exitCode, stderr } = await running;
  expect(exitCode).toBe(EXIT.notFound);
  expect(stderr).toContain('serves no TURN for namespace demo');
  expect(await generations()).toEqual([]);
});

test('orama turn attach says so and does nothing where the controlplane keeps the namespace attached itself', async () => {
  startTurn();
  await waitFor([]);
  const tenant = turnTenantSchema.parse(settings);
  await callTurn(socketPath, turnTenantStatusSchema, 'PUT', '/tenants/demo', tenant);
  kept = true;
  settings = { ...tenant, generation: 2 };
  const running = attach();
  const [said] = (await once(running.stdout, 'data')) as [Buffer];
  expect(String(said)).toContain('the controlplane of this node keeps the namespace attached');
  running.kill('SIGINT');
  const { exitCode, stdout } = await running;
  expect(exitCode).toBe(EXIT.done);
  expect(stdout).not.toContain('detached');
  expect(await generations()).toEqual([1]);
});

test('orama turn attach ends with 5 and the next step when there is no such namespace', async () => {
  settings = null;
  refusal = new OramaError('NAMESPACE_NOT_FOUND', 'there is no namespace "demo"', { hint: 'orama namespace list' });
  const { exitCode, stderr } = await attach();
  expect(exitCode).toBe(EXIT.notFound);
  expect(stderr).toBe('error NAMESPACE_NOT_FOUND: there is no namespace "demo"\nnext: orama namespace list');
});
