import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT } from '@orama/protocol';
import type { Command } from 'commander';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createProgram } from './program.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
/** A loopback address on which nothing listens. */
const NOBODY = 'http://127.86.0.9:6001';

let dataDir: string;
let keyFile: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'orama-cli-'));
  keyFile = join(dataDir, 'some.key');
  writeFileSync(keyFile, `${'0'.repeat(64)}\n`, { mode: 0o600 });
});
afterEach(() => rmSync(dataDir, { recursive: true }));

/** Runs the program as a process of its own, with pipes instead of a terminal. */
const orama = (...args: string[]) => oramaIn({}, ...args);
const oramaIn = (env: Record<string, string>, ...args: string[]) =>
  execa(process.execPath, ['--conditions=source', MAIN, ...args], {
    reject: false,
    extendEnv: false,
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      HOME: dataDir,
      ORAMA_DATA_DIR: dataDir,
      ...env,
    },
  });

/** Paths of every command, the program itself first. */
function commandPaths(command: Command, path: string[] = []): string[][] {
  return [path, ...command.commands.flatMap((child) => commandPaths(child, [...path, child.name()]))];
}

describe('orama', () => {
  it('shows help with an example for every command', () => {
    const program = createProgram('0.0.0');
    for (const path of commandPaths(program)) {
      let command = program;
      for (const word of path) command = command.commands.find((child) => child.name() === word) as Command;
      if (command.commands.length > 0 && path.length > 0) continue;
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      expect(help, path.join(' ')).toMatch(
        new RegExp(`Examples:\\n {2}\\$ (?:\\(umask 077; )?orama ${path.join(' ')}`),
      );
    }
  });

  it('prints help and version on stdout with exit code 0', async () => {
    const help = await orama('namespace', 'enable', '--help');
    expect(help.exitCode).toBe(EXIT.done);
    expect(help.stdout).toContain('$ orama namespace enable webrtc --namespace myapp');
    expect((await orama('--version')).stdout).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('loads no library before a command needs it', async () => {
    const tellLoads = `import { registerHooks } from 'node:module';
      registerHooks({ load: (url, context, next) => (console.error(url), next(url, context)) });`;
    const hook = `data:text/javascript,${encodeURIComponent(tellLoads)}`;
    const { stderr } = await execa(process.execPath, ['--conditions=source', '--import', hook, MAIN, '--version']);
    expect(stderr).toContain('/node_modules/commander/');
    for (const name of ['better-sqlite3', 'execa', 'ora', 'pino', 'playwright-core', 'prom-client', 'yaml'])
      expect(stderr).not.toContain(`/node_modules/${name}/`);
    for (const folder of ['packages/store', 'packages/sfu', 'packages/turn'])
      expect(stderr).not.toContain(`/${folder}/`);
  });

  it('suggests the command that was meant', async () => {
    const run = await orama('dev', 'strat');
    expect(run.exitCode).toBe(EXIT.usage);
    expect(run.stderr).toContain('Did you mean start?');
    expect(run.stderr).toContain('next: see "orama dev --help"');
    expect(run.stdout).toBe('');
  });

  it('shows the verbs of a noun that stands alone, on stderr with exit code 2', async () => {
    const run = await orama('namespace');
    expect(run.exitCode).toBe(EXIT.usage);
    expect(run.stderr).toContain('webrtc-status');
  });

  it.each([
    { args: ['namespace', 'enable', 'webrtc'], says: '--namespace' },
    { args: ['namespace', 'create'], says: 'name' },
    { args: ['namespace', 'create', 'Not_A_Label'], says: 'use 1-42 characters' },
    { args: ['namespace', 'enable', 'telephony', '--namespace', 'demo'], says: 'Allowed choices are webrtc' },
    { args: ['namespace', 'enable', 'webrtc', '--ns', 'demo', '--sfu-nodes', '0'], says: 'from 1 to 9' },
    { args: ['dev', 'start', '--loopback-prefix', '10.0'], says: '127.<0-255>' },
    { args: ['dev', 'start', '--http-port', '80a'], says: 'whole number' },
    { args: ['dev', 'status', '--colour'], says: 'unknown option' },
    { args: ['namespace', 'list', '--api', 'https://somewhere'], says: 'such as http://10.0.0.1:6001' },
  ])('refuses "$args" with exit code 2 and says what is wrong', async ({ args, says }) => {
    const run = await orama(...args);
    expect(run.stderr).toContain(says);
    expect(run.exitCode).toBe(EXIT.usage);
    expect(run.stdout).toBe('');
  });

  it('names the variable whose value is no address of a controlplane', async () => {
    const run = await oramaIn({ ORAMA_API: 'http://10.0.0.1:6001, 10.0.0.2' }, 'namespace', 'list');
    expect(run.exitCode).toBe(EXIT.usage);
    expect(run.stderr).toContain('ORAMA_API');
    expect(run.stderr).toContain('such as http://10.0.0.1:6001');
  });

  it.each([
    ['store', 'backup', 'x'],
    ['store', 'restore', 'x', '--replace'],
    ['store', 'check'],
    ['dev', 'start'],
    ['dev', 'stop'],
    ['demo'],
    ['node', 'init', '--base-domain', 'example.com'],
    ['node', 'leave', '--force'],
  ])('refuses --env for a command about this machine: %s %s', async (...args) => {
    const run = await orama('--env', 'nosuch', ...args);
    expect(run.stderr).toContain('"--env nosuch"');
    expect(run.exitCode).not.toBe(EXIT.done);
    expect(run.stdout).toBe('');
  });

  it('means the cluster of the data directory by --env local, whatever variables name another one', async () => {
    const variables = { ORAMA_API: NOBODY, ORAMA_CLUSTER_KEY_FILE: keyFile };
    const run = await oramaIn(variables, '--env', 'local', 'namespace', 'list');
    expect(run.exitCode).toBe(EXIT.unreachable);
    expect(run.stderr).toContain(`no cluster runs on ${dataDir}`);
  });

  it.each(['http://127.evil.example', 'http://localhost.evil.example', 'http://192.0.2.1'])(
    'sends no key to %s in clear',
    async (url) => {
      const room = await orama('room', 'list', '--gateway', url, '--api-key-file', keyFile);
      expect(room.exitCode).toBe(EXIT.usage);
      expect(room.stderr).toContain('http is for loopback only');
      const added = await orama('env', 'add', 'evil', '--url', url, '--token-file', keyFile);
      expect(added.exitCode).toBe(EXIT.usage);
      expect(added.stderr).toContain('http is for loopback only');
    },
  );

  it('tells a malformed command line as JSON on stdout with --json', async () => {
    const run = await orama('namespace', 'create', '--json');
    expect(run.exitCode).toBe(EXIT.usage);
    expect(JSON.parse(run.stdout)).toEqual({
      error: {
        code: 'USAGE',
        message: "missing required argument 'name'",
        hint: 'see "orama namespace create --help"',
        retryable: false,
      },
    });
    expect(run.stderr).toBe('');
  });

  it('exits with 3 and names the next step when no cluster is known', async () => {
    const run = await orama('namespace', 'list');
    expect(run.exitCode).toBe(EXIT.unreachable);
    expect(run.stderr).toContain(dataDir);
    expect(run.stderr).toContain('orama dev start --detach');
  });

  it('exits with 3 when no controlplane answers, naming the address', async () => {
    const run = await orama('namespace', 'list', '--api', NOBODY, '--cluster-key-file', keyFile);
    expect(run.exitCode).toBe(EXIT.unreachable);
    expect(run.stderr).toContain(NOBODY);
    expect(run.stderr).toMatch(/^next: /m);
    const json = await orama('namespace', 'list', '--api', NOBODY, '--cluster-key-file', keyFile, '--json');
    expect(json.exitCode).toBe(EXIT.unreachable);
    expect(JSON.parse(json.stdout).error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(json.stderr).toBe('');
  });

  it('refuses a cluster key that others may read', async () => {
    chmodSync(keyFile, 0o644);
    const run = await orama('namespace', 'list', '--api', NOBODY, '--cluster-key-file', keyFile);
    expect(run.exitCode).toBe(EXIT.usage);
    expect(run.stderr).toContain(`chmod 600 ${keyFile}`);
  });

  it('stops nothing and succeeds when no cluster runs', async () => {
    const run = await orama('dev', 'stop', '--json');
    expect(run.exitCode).toBe(EXIT.done);
    expect(JSON.parse(run.stdout)).toEqual({ dataDir, stopped: false });
  });

  it('exits with 3 for the status of a cluster that does not run, and with 5 for its logs', async () => {
    expect((await orama('dev', 'status')).exitCode).toBe(EXIT.unreachable);
    expect((await orama('dev', 'logs')).exitCode).toBe(EXIT.notFound);
  });

  it('writes no colour into a pipe', async () => {
    const run = await orama('namespace', 'list');
    expect(run.stderr).not.toContain('\u001b');
  });
});

describe('turn check', () => {
  const login = ['--username', 'anna', '--password', 'secret'];

  it('ended by Ctrl-C while a server does not answer says how far it came, at once', async () => {
    const check = orama('turn', 'check', 'turn:127.86.0.9', ...login, '--timeout', '60');
    let progress = '';
    check.stderr.on('data', (text) => {
      progress += text;
    });
    await expect.poll(() => progress).toContain('checking turn:127.86.0.9');
    check.kill('SIGINT');
    expect(await check).toMatchObject({ exitCode: EXIT.failed, stdout: 'ended early: 0 of 1 checked' });
  });

  it('a password that no server could take is refused before anybody is asked', async () => {
    const password = 'copied\u200bfrom-somewhere';
    const { exitCode, stderr } = await orama(
      'turn',
      'check',
      'turn:127.86.0.9',
      '--username',
      'anna',
      '--password',
      password,
    );
    expect(exitCode).toBe(EXIT.usage);
    expect(stderr).toMatch(/^error INVALID_REQUEST: --password cannot be used: .*U\+200B.*\nnext: /);
    expect(stderr).not.toContain(password);
  });
});

describe('inspector', () => {
  it('ended by Ctrl-C says so, and not that it failed', async () => {
    const silent = createServer().listen(0, '127.86.0.9');
    await once(silent, 'listening');
    const api = `http://127.86.0.9:${(silent.address() as AddressInfo).port}`;
    const asked = once(silent, 'connection');
    const inspecting = orama('inspector', '--api', api, '--cluster-key-file', keyFile);
    await asked;
    inspecting.kill('SIGINT');
    const { exitCode, stderr } = await inspecting;
    expect(exitCode).toBe(EXIT.failed);
    expect(stderr).toContain('error INTERRUPTED: ended by SIGINT before it was done\nnext: run the same command again');
    silent.close();
  });
});

describe('env add --force', () => {
  const token = (letter: string) => `orama_op_${letter.repeat(16)}.${letter.repeat(43)}`;
  const add = (url: string, letter: string) => {
    const file = join(dataDir, 'token');
    writeFileSync(file, token(letter), { mode: 0o600 });
    return orama('env', 'add', 'devnet', '--url', url, '--token-file', file, '--force');
  };

  it('renews the token and keeps the keys and the authority, unless the gateway is another', async () => {
    const file = join(dataDir, '.config/orama/environments.yaml');
    const [url, other] = ['https://orama.example.org', 'https://other.example.org'];
    await add(url, 'a');
    const more = '    caFile: ca.pem\n    apiKeys:\n      myapp: a-key # of anna\n';
    writeFileSync(file, readFileSync(file, 'utf8') + more);
    expect(await add(url, 'b')).toMatchObject({ exitCode: EXIT.done });
    const renewed = readFileSync(file, 'utf8');
    expect(renewed).not.toContain(token('a'));
    for (const kept of [token('b'), 'caFile: ca.pem', 'myapp: a-key']) expect(renewed).toContain(kept);
    await add(other, 'c');
    expect(readFileSync(file, 'utf8')).not.toMatch(/ca.pem|a-key/);
  });
});
