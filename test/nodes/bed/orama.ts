import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ControlplaneConfigInput, TurnCredentials } from '@orama/protocol';
import { type AcmeAuthority, REPOSITORY } from '@orama/testkit';
import type { Bed } from './bed.ts';
import { WIREGUARD_NETWORK } from './network.ts';
import type { SystemdNode } from './node.ts';
import { DATA } from './root.ts';

export const BASE_DOMAIN = 'orama.test';
/** Of the namespace `demo`. */
export const HOST = `ns-demo.${BASE_DOMAIN}`;
export const TURN_NAME = `turn.${HOST}`;
const CADDYFILE = '/etc/caddy/Caddyfile';

/** Our commands on a node. */
export const PROGRAM = ['/opt/orama/bin/node', '/opt/orama/cmd/orama/dist/main.js'];
/** The same, with results as JSON. */
export const ORAMA = [...PROGRAM, '--json'];

/** Runs a command of ours; what it printed, which must be a result. */
export async function runJson<T = unknown>(node: SystemdNode, ...args: string[]): Promise<T> {
  return JSON.parse(await node.do(...ORAMA, ...args)) as T;
}

/** The same of one that must fail: its exit code and error. */
export async function refusedJson(node: SystemdNode, ...args: string[]) {
  const { code, stdout, stderr } = await node.run(...ORAMA, ...args);
  try {
    return { code, ...(JSON.parse(stdout) as { error: { code: string; message: string; hint: string } }) };
  } catch {
    throw new Error(`no error but ${stdout}${stderr}`);
  }
}

/** Has a Caddyfile ask the authority of a test, and look for what is to be renewed each second. */
export function withAuthority(authority: AcmeAuthority): (caddyfile: string) => string {
  const acme = [`acme_ca ${authority.directory}`, 'acme_ca_root /etc/caddy/acme.pem', 'renew_interval 1s'];
  return (caddyfile) => caddyfile.replace(/email \S+/, (email) => [email, ...acme].join('\n\t'));
}

/** Our programs on a node, as one that is alone has them, and a Caddy in front of them. */
export class OramaNode {
  readonly node: SystemdNode;
  readonly #bed: Bed;
  #apiKey = '';

  constructor(bed: Bed, number: number) {
    this.#bed = bed;
    this.node = bed.node(number);
  }

  /** Writes the configuration and starts the controlplane, which starts the others. */
  async start(config: Partial<ControlplaneConfigInput>): Promise<void> {
    const { node } = this;
    const whole: ControlplaneConfigInput = {
      clusterId: 'nodes',
      node: 'node-1',
      wireguardIp: node.wireguardIp,
      publicIp: node.publicIp,
      wireguardNetwork: WIREGUARD_NETWORK,
      baseDomain: BASE_DOMAIN,
      dataDir: DATA,
      clusterKeyFile: '/etc/orama/cluster.key',
      store: { driver: 'sqlite', file: `${DATA}/store/store.sqlite` },
      api: {},
      services: { manager: 'systemd' },
      gateway: { listen: { address: '127.0.0.1', port: 6080 } },
      dns: { writer: 'file', file: `${DATA}/zone` },
      ...config,
    };
    this.writeForRoot('/etc/orama/cluster.key', '0'.repeat(64));
    this.writeForRoot('/etc/orama/controlplane.yaml', JSON.stringify(whole));
    await node.do('systemctl', 'start', 'orama-controlplane.service');
  }

  /** A file that only root reads. */
  writeForRoot(path: string, content: string): void {
    writeFileSync(join(this.node.root, path), content, { mode: 0o600 });
  }

  /** Runs a command of ours on the node. */
  orama(...args: string[]): Promise<string> {
    return this.node.do(
      ...PROGRAM,
      ...['--api', 'http://127.0.0.1:6001'],
      ...['--cluster-key-file', '/etc/orama/cluster.key', ...args],
    );
  }

  /** The namespace `demo`, with WebRTC. */
  async enable(): Promise<void> {
    this.#apiKey = (JSON.parse(await this.orama('namespace', 'create', 'demo', '--json')) as { apiKey: string }).apiKey;
    await this.orama('namespace', 'enable', 'webrtc', '--namespace', 'demo', '--sfu-nodes', '1', '--turn-nodes', '1');
  }

  get apiKey(): string {
    return this.#apiKey;
  }

  async credentials(): Promise<TurnCredentials> {
    const answer = await this.node.do(
      ...['curl', '-s', '-X', 'POST', '-H', `x-api-key: ${this.#apiKey}`, '-H', `host: ${HOST}`],
      'http://127.0.0.1:6080/v1/webrtc/turn/credentials',
    );
    return JSON.parse(answer) as TurnCredentials;
  }

  /**
   * Caddy as Debian's package leaves it, with a Caddyfile of deploy/ and the authority of the test.
   * @param change what an operator changes in it
   * @param program another Caddy than Debian's
   */
  installCaddy(file: string, authority: AcmeAuthority, change = (text: string) => text, program?: string): void {
    const { root } = this.node;
    const caddyfile = readFileSync(join(REPOSITORY, 'deploy', file), 'utf8');
    this.#makeCaddy(authority, change(withAuthority(authority)(caddyfile)));
    if (program === undefined) return;
    copyFileSync(program, join(root, 'opt/caddy'));
    chmodSync(join(root, 'opt/caddy'), 0o755);
    const unit = join(root, 'etc/systemd/system/caddy.service.d');
    mkdirSync(unit);
    const run = `/opt/caddy run --config ${CADDYFILE}`;
    writeFileSync(join(unit, 'program.conf'), `[Service]\nExecStart=\nExecStart=${run}\n`);
  }

  /** Caddy as it is after `apt-get install`: it runs, with a page of its own. */
  async startDebianCaddy(authority: AcmeAuthority): Promise<void> {
    this.#makeCaddy(authority, ':80 {\n\troot * /usr/share/caddy\n\tfile_server\n}\n');
    await this.node.do('systemctl', 'enable', '--now', 'caddy');
  }

  /** What Caddy says went wrong, for whoever looks into a test that failed. */
  async caddyErrors(): Promise<string> {
    const { stdout } = await this.node.run('journalctl', '--output', 'cat', '-u', 'caddy', '--grep', '"level":"error"');
    return stdout;
  }

  changeCaddyfile(change: (text: string) => string): void {
    const file = join(this.node.root, CADDYFILE);
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  }

  /** The files of Debian's package, and a Caddyfile. */
  #makeCaddy(authority: AcmeAuthority, caddyfile: string): void {
    const { root } = this.node;
    const [uid, gid] = /^caddy:x:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.slice(1).map(Number) ?? [];
    if (uid === undefined || gid === undefined) throw new Error('there is no user caddy: apt-get install caddy');
    const owned = (path: string, content: string) => {
      writeFileSync(join(root, path), content, { mode: 0o600 });
      chownSync(join(root, path), uid, gid);
    };
    mkdirSync(join(root, 'etc/caddy'), { recursive: true });
    owned('etc/caddy/acme.pem', readFileSync(authority.caFile, 'utf8'));
    owned(CADDYFILE, caddyfile);
    const home = join(root, 'var/lib/caddy');
    mkdirSync(home, { mode: 0o700 });
    chownSync(home, uid, gid);
  }

  /** A part of Caddy's configuration, JSON. */
  caddyConfig(path: string): Promise<string> {
    return this.node.do('curl', '-s', `http://127.0.0.1:2019/config/${path}`);
  }

  /**
   * Relays packets to itself over TURN/TLS, from the client's place, until told to end; how many it sent and which came back.
   * Its certificate has to be the authority's.
   */
  async startRelay(port: number, authority: AcmeAuthority) {
    const { username, password } = await this.credentials();
    const folder = mkdtempSync(join(tmpdir(), 'orama-relay-'));
    const root = join(folder, 'root.pem');
    writeFileSync(root, authority.root());
    const program = [process.execPath, '--conditions=source', join(REPOSITORY, 'test/nodes/relay-client.ts')];
    const relay = spawn(
      'ip',
      [
        ...['netns', 'exec', this.#bed.network.client, 'env', `NODE_EXTRA_CA_CERTS=${root}`, ...program],
        ...[this.node.publicIp, `${port}`, TURN_NAME, username, password],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'], cwd: REPOSITORY },
    );
    const output = relay.stdout;
    const over = once(relay, 'exit').then(([code]) => Promise.reject(new Error(`the relay ended with ${code}`)));
    over.catch(() => undefined);
    await Promise.race([once(output, 'data'), over]);
    const rest = text(output);
    return {
      end: async () => {
        relay.stdin.end();
        const counts = JSON.parse(await rest) as { sent: number; received: number };
        rmSync(folder, { recursive: true });
        return counts;
      },
    };
  }
}
