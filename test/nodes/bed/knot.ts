import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_DOMAIN } from './orama.ts';

/** A real DNS server with the zone of the base domain, which takes dynamic updates. */
export class Knot {
  /** Name of the TSIG key that may change the zone, and its secret. */
  readonly key = 'ours';
  readonly secret = Buffer.alloc(32, 7).toString('base64');
  readonly #folder = mkdtempSync(join(tmpdir(), 'orama-knot-'));
  readonly #process: ChildProcess;

  /** @param within what a program is started with where the address is */
  constructor(within: readonly string[], address: string) {
    const file = (name: string, content: string) => writeFileSync(join(this.#folder, name), content);
    const records = ['@ SOA ns1 admin 1 60 60 60 60', '@ NS ns1', `ns1 A ${address}`];
    file('zone', [`$ORIGIN ${BASE_DOMAIN}.`, '$TTL 1', ...records, ''].join('\n'));
    const zone = { domain: BASE_DOMAIN, file: join(this.#folder, 'zone'), acl: this.key, 'journal-content': 'changes' };
    const lines = Object.entries(zone).map(([name, value], index) => `  ${index === 0 ? '-' : ' '} ${name}: ${value}`);
    file(
      'knot.conf',
      `server:
  rundir: ${this.#folder}
  listen: ${address}@53
database:
  storage: ${this.#folder}
key:
  - id: ${this.key}
    algorithm: hmac-sha256
    secret: ${this.secret}
acl:
  - id: ${this.key}
    key: ${this.key}
    action: [transfer, update]
zone:
${lines.join('\n')}
`,
    );
    const run = ['--pdeathsig', 'KILL', ...within, 'knotd', '-c', join(this.#folder, 'knot.conf')];
    this.#process = spawn('setpriv', run, { stdio: 'ignore' });
  }

  async close(): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
    rmSync(this.#folder, { recursive: true });
  }
}
