import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from '@orama/protocol';
import { CliProcess, imageOf, LocalCluster, UNITS, waitUntil } from '@orama/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { kill } from '../support/kill.ts';

/** The doctor on a machine with a cluster, on one without, and in the middle of being ended. */
const NAME = 'patient';
const TRIAL = 'orama-doctor';
let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 86 });
  await cluster.createEnabled(NAME);
  await cluster.waitHealthy(NAME);
});
afterAll(() => cluster?.stop());

interface Examination {
  state: string;
  lines: { id: string; state: string; seen: string; mend?: string }[];
}

async function examine(run: Promise<{ code: number | null; stdout: string }>) {
  const { code, stdout } = await run;
  const { state, lines } = JSON.parse(stdout) as Examination;
  const line = (id: string) => lines.find((one) => one.id === id);
  return { code, state, lines, line, bad: lines.filter((one) => one.state !== 'passed') };
}
const doctor = (...args: string[]) => examine(cluster.run('doctor', '--json', ...args));

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
  await cluster.waitHealthy(NAME);
});

/** Silences processes, as ones that hang, and lets them go on after the test. */
function silence(...pids: number[]): void {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  undo.push(() => {
    for (const pid of pids) kill(pid, 'SIGCONT');
  });
}

const namespaces = async () => (await cluster.client.namespaces()).map(({ name }) => name);
const allocations = async () =>
  (await cluster.status(NAME)).services.reduce((sum, service) => sum + (service.allocations ?? 0), 0);

test('everything passes, a call in a namespace of its own included, and nothing is left of it', async () => {
  const before = await imageOf(cluster);
  const { code, state, bad, line } = await doctor();
  expect({ code, state, bad }).toEqual({ code: EXIT.done, state: 'passed', bad: [] });
  expect(line('call')?.seen).toMatch(
    /^two peers connected in \d+ ms and \d+ ms, and got \d+ and \d+ packets of each other$/,
  );
  // What was relayed is history, of the last reading as well.
  const isHistory = (line: string) => line.startsWith('row of turn_usage_reads');
  const difference = async () => {
    const after = await imageOf(cluster);
    const differs = [
      before.filter((line) => !after.includes(line)),
      after.filter((line) => !before.includes(line)),
    ].flat();
    return differs.filter((line) => !isHistory(line));
  };
  await waitUntil('the cluster to be as before', difference, (lines) => lines.length === 0);
});

test('--namespace holds the call there, and leaves no room and no allocation', async () => {
  const { code, line } = await doctor('--namespace', NAME);
  expect(code).toBe(EXIT.done);
  expect(line('call')).toMatchObject({ state: 'passed' });
  expect((await cluster.json<{ rooms: unknown[] }>('room', 'list', '--namespace', NAME)).rooms).toEqual([]);
  await waitUntil('no allocation', allocations, (count) => count === 0);
});

test('SFUs that hang fail the check of coverage and the call, which says how far it came', async () => {
  silence(...[1, 2, 3].map((node) => cluster.pidOf(node, UNITS.sfu(NAME))));
  const { code, line } = await doctor('--namespace', NAME);
  expect(code).toBe(EXIT.failed);
  expect(line('sfu-coverage')).toMatchObject({ state: 'failed', mend: expect.stringContaining(NAME) });
  expect(line('call')).toMatchObject({
    state: 'failed',
    seen: expect.stringMatching(/^(joining the room|waiting for TURN|connecting)/),
  });
  expect(line('call')?.mend).toBeDefined();
});

test('TURN servers that are down fail what asks them, and the call', async () => {
  for (const node of [1, 2]) {
    undo.push(() => cluster.orama('turn', 'resume', '--node', cluster.node(node).id));
    await cluster.orama('turn', 'drain', '--node', cluster.node(node).id, '--deadline', '1');
  }
  const { code, line } = await doctor('--namespace', NAME);
  expect(code).toBe(EXIT.failed);
  for (const id of ['turn-redundancy', 'dns', 'call']) expect(line(id)?.state, id).toBe('failed');
  // Each by itself does what an operator wants.
  expect(line('ports')).toMatchObject({ state: 'warning', mend: expect.stringMatching(/^orama turn resume/) });
  expect(line('turn-reachable')).toMatchObject({ state: 'warning', mend: expect.stringMatching(/^orama turn resume/) });
  expect(line('call')?.seen).toMatch(
    /^getting a TURN allocation: no TURN server of the namespace gives a way: turn:.*udp.*no answer.*ECONNREFUSED/,
  );
});

test('a doctor that is ended, met by another, or killed, in the middle leaves nothing, or what the next one removes', async () => {
  const ended = cluster.spawn('doctor');
  await waitUntil('the namespace of the first', namespaces, (names) => names.includes(TRIAL));
  ended.child.kill('SIGINT');
  expect((await ended.finished).code).not.toBe(EXIT.done);
  expect(await namespaces()).toEqual([NAME]);

  const halted = cluster.spawn('doctor');
  await waitUntil('the namespace of the second', namespaces, (names) => names.includes(TRIAL));
  // However long the third takes to begin, the second is at work.
  halted.child.kill('SIGSTOP');
  const third = await doctor();
  halted.child.kill('SIGCONT');
  expect(third.line('call')).toMatchObject({
    state: 'failed',
    seen: expect.stringContaining('another doctor is at work'),
  });
  await halted.finished;

  const fourth = cluster.spawn('doctor');
  await waitUntil('the namespace of the fourth', namespaces, (names) => names.includes(TRIAL));
  fourth.child.kill('SIGKILL');
  await fourth.finished;
  expect(await namespaces()).toContain(TRIAL);
  expect((await doctor()).line('call')).toMatchObject({ state: 'passed' });
  expect(await namespaces()).toEqual([NAME]);
});

test('where nothing runs it says so, and what to do, and looks at the rest', async () => {
  const empty = mkdtempSync(join(tmpdir(), 'orama-empty-'));
  try {
    const { code, line, lines } = await examine(new CliProcess(['--data-dir', empty, 'doctor', '--json']).finished);
    expect(code).toBe(EXIT.failed);
    expect(line('native:node-datachannel')?.state).toBe('passed');
    expect(line('cluster')).toMatchObject({ state: 'failed', mend: expect.stringContaining('orama dev start') });
    expect(lines.filter(({ state }) => state === 'skipped').map(({ id }) => id)).toContain('call');
  } finally {
    rmSync(empty, { recursive: true });
  }
});
