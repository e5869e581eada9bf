import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../wait.ts';

/** Only loopback is reached without it: no test asks a real authority for anything. */
const NOWHERE = 'http://127.0.0.1:9';

/** A real Caddy on loopback, as its operator has configured it. */
export class CaddyServer {
  /** Of its admin API. */
  readonly admin: string;
  /** Where its file storage is unless its configuration says another place. */
  readonly storage: string;
  readonly #program: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'orama-caddy-'));
  #process: ChildProcess | undefined;

  /** @param program Debian's unless given */
  constructor(address: string, program = 'caddy') {
    this.admin = `http://${address}:2019`;
    this.storage = join(this.#folder, 'storage');
    this.#program = program;
  }

  /** What Caddy has said so far. */
  get log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8');
  }

  /** Starts it with a configuration, JSON; its admin API and storage are added. */
  async start(config: object): Promise<void> {
    const log = openSync(join(this.#folder, 'log'), 'a');
    const env = ['env', `HOME=${this.#folder}`, `HTTPS_PROXY=${NOWHERE}`];
    const run = [this.#program, 'run', '--config', this.#write(config)];
    this.#process = spawn('setpriv', ['--pdeathsig', 'KILL', ...env, ...run], { stdio: ['ignore', log, log] });
    closeSync(log);
    await waitFor('Caddy', async () => (await fetch(`${this.admin}/config/`)).ok);
  }

  /** What `systemctl reload caddy` does: the operator's configuration takes the place of everything. */
  async reload(config: object): Promise<void> {
    const body = readFileSync(this.#write(config));
    const answer = await fetch(`${this.admin}/load`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    if (!answer.ok) throw new Error(await answer.text());
  }

  /** Its configuration now, or a part of it. */
  config(path = ''): Promise<unknown> {
    // A connection that was kept may end with the servers that a change replaces.
    return waitFor('the configuration', async () => (await fetch(`${this.admin}/config/${path}`)).json());
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #write(config: object): string {
    const file = join(this.#folder, 'caddy.json');
    const whole = {
      admin: { listen: new URL(this.admin).host },
      storage: { module: 'file_system', root: this.storage },
      ...config,
    };
    writeFileSync(file, JSON.stringify(whole));
    return file;
  }
}
