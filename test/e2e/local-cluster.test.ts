import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from '@orama/protocol';
import { CliProcess, killNow, listProcesses, processesMentioning, waitFor, waitUntil } from '@orama/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/** `orama dev` and `orama demo` as a user at a terminal has them: what they start is theirs to stop, whatever ends them. */
const HTTP_PORT = 7060;
const ADDRESSES = ['--loopback-prefix', '127.98', '--http-port', String(HTTP_PORT)];

let dataDir: string;
const spawned: CliProcess[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'orama-dev-'));
});
afterEach(async () => {
  await orama('dev', 'stop').finished;
  for (const { child } of spawned.splice(0)) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true });
});

/** Starts a command; the data directory is in its arguments, so that its processes are found by it. */
function orama(...args: string[]): CliProcess {
  const command = new CliProcess([...args, '--data-dir', dataDir]);
  spawned.push(command);
  return command;
}

async function startDetached(): Promise<void> {
  const { code, output } = await orama('dev', 'start', '--detach', ...ADDRESSES).finished;
  expect(code, output).toBe(EXIT.done);
}

interface DevState {
  supervisor: { pid: number } | null;
  controlplanes: Record<string, { pid: number }>;
}
const readState = () => JSON.parse(readFileSync(join(dataDir, 'dev.json'), 'utf8')) as DevState;
const supervisorPid = () => readState().supervisor?.pid as number;
const processes = () => processesMentioning(dataDir).map(({ pid, args }) => `${pid} ${args.join(' ')}`);
const services = () => processes().filter((line) => /\/(gateway|turn|sfu)\//.test(line));
const waitForNone = () => waitUntil('no process to be left', processes, (left) => left.length === 0);

describe('orama dev start in the foreground', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'ended by %s stops all it started and exits with 0',
    async (signal) => {
      const cluster = orama('dev', 'start', ...ADDRESSES);
      expect(await cluster.printed(/press Ctrl-C/), cluster.output).toBe(true);
      expect(processes().length).toBeGreaterThanOrEqual(3 + 6);
      const { code, stderr } = await cluster.kill(signal);
      expect({ code, stderr }).toEqual({ code: EXIT.done, stderr: expect.stringContaining('the cluster is stopped') });
      expect(processes()).toEqual([]);
    },
  );

  test('ended while it is still starting leaves nothing either', async () => {
    const cluster = orama('dev', 'start', ...ADDRESSES);
    expect(await cluster.printed(/waiting for/), cluster.output).toBe(true);
    expect((await cluster.kill('SIGINT')).code).toBe(EXIT.done);
    expect(processes()).toEqual([]);
  });

  test('names the address that another program has, and leaves nothing', async () => {
    const other = createServer().listen(HTTP_PORT + 1, '127.0.0.1');
    await once(other, 'listening');
    try {
      const { code, stderr } = await orama('dev', 'start', ...ADDRESSES).finished;
      expect(code).toBe(EXIT.conflict);
      expect(stderr).toContain(`127.0.0.1:${HTTP_PORT + 1}/tcp (gateway of node-2) is in use by another program`);
      expect(stderr).toContain('--http-port');
      expect(processes()).toEqual([]);
    } finally {
      other.close();
    }
  });
});

describe('a supervisor that is killed', () => {
  test('is followed by the next one, which finds the services running and leaves them so', async () => {
    await startDetached();
    const before = services();
    await killNow(supervisorPid());
    await startDetached();
    expect(before).toHaveLength(6);
    expect(services()).toEqual(before);
  });

  test('leaves nothing that "orama dev stop" does not find', async () => {
    await startDetached();
    await killNow(supervisorPid());
    expect(processes().length).toBeGreaterThanOrEqual(9);
    const { code, stdout } = await orama('dev', 'stop').finished;
    expect({ code, stdout }).toEqual({ code: EXIT.done, stdout: expect.stringContaining('is stopped') });
    expect(processes()).toEqual([]);
  });
});

describe('orama dev start --detach', () => {
  test('killed before the cluster is ready takes it along', async () => {
    const starter = orama('dev', 'start', '--detach', ...ADDRESSES);
    expect(await starter.printed(/waiting for/), starter.output).toBe(true);
    await starter.kill('SIGKILL');
    await waitForNone();
  });
});

describe('orama dev logs', () => {
  test('shows a unit by its short name, and follows it', async () => {
    await startDetached();
    const { stdout } = await orama('dev', 'logs', 'node-1/turn').finished;
    expect(stdout).toMatch(/^node-1\/orama-turn \{.*"msg":"turn listening"/m);
    const follower = orama('dev', 'logs', 'node-2/controlplane', '-f', '-n', '1');
    expect(await follower.printed(/^node-2\/controlplane \{/m), follower.output).toBe(true);
    const stopped = orama('dev', 'stop').finished;
    expect(await follower.printed(/"msg":"stopped"/), follower.output).toBe(true);
    await stopped;
    expect((await follower.kill('SIGINT')).code).toBe(EXIT.done);
  });
});

describe('orama demo', () => {
  test('prints the address of the call page; Ctrl-C stops everything', async () => {
    const demo = orama('demo', ...ADDRESSES);
    // The address is written to standard output, the hint to standard error: either may be read first.
    expect(await demo.printed(/press Ctrl-C/), demo.output).toBe(true);
    expect(await demo.printed(/call page: \S+\n/), demo.output).toBe(true);
    const url = /http:\S+/.exec(/call page: .*/.exec(demo.output)?.[0] ?? '')?.[0] ?? '';
    expect(url).toMatch(/^http:\/\/ns-demo\.orama\.localhost:7060\/call\/#api_key=orama_[\w-]+&room=lobby$/);
    const page = await fetch(`http://127.0.0.1:${HTTP_PORT}/call/`, { headers: { host: new URL(url).host } });
    expect(page.status).toBe(200);
    const { code, stderr } = await demo.kill('SIGINT');
    expect({ code, stderr }).toEqual({ code: EXIT.done, stderr: expect.stringContaining('nothing is left running') });
    expect(processes()).toEqual([]);
  });

  test('killed outright takes its cluster along', async () => {
    const demo = orama('demo', ...ADDRESSES);
    expect(await demo.printed(/namespace demo/), demo.output).toBe(true);
    await demo.kill('SIGKILL');
    await waitForNone();
  });

  test('joins a cluster that runs, and leaves it running', async () => {
    await startDetached();
    const pid = supervisorPid();
    const demo = orama('demo');
    expect(await demo.printed(/press Ctrl-C/), demo.output).toBe(true);
    expect(demo.output).toContain('joined the cluster');
    expect((await demo.kill('SIGTERM')).code).toBe(EXIT.done);
    expect(await waitFor('the supervisor', () => listProcesses().some((each) => each.pid === pid))).toBe(true);
    const { stdout } = await orama('namespace', 'list').finished;
    expect(stdout).toMatch(/demo.*enabled/);
  });
});
