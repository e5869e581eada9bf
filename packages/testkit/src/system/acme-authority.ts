import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../wait.ts';
import { CertificateAuthority } from './certificate-authority.ts';

const ACME_PORT = 14_000;
const MANAGEMENT_PORT = 15_000;
const DNS_PORT = 8053;
const CHALLENGE_PORT = 8055;

/** No pauses and no faults of Pebble's own, and every name is proved anew. */
const QUICK = ['PEBBLE_VA_NOSLEEP=1', 'PEBBLE_WFE_NONCEREJECT=0', 'PEBBLE_AUTHZREUSE=0'];

export interface AcmeAuthorityOptions {
  /** Where Pebble listens. */
  address: string;
  /** Address that every name leads to. */
  namesLeadTo: string;
  /** Where it comes to validate. */
  httpPort?: number;
  tlsPort?: number;
  /** Seconds that its certificates are good for. */
  validSec?: number;
  /** DNS server it asks; one of its own unless given. */
  dnsServer?: string;
  /** Command that the programs are run by, such as `ip netns exec <name>`. */
  within?: readonly string[];
}

/** A real ACME authority, Pebble, and the DNS that it asks. */
export class AcmeAuthority {
  /** Of its ACME directory. */
  readonly directory: string;
  /** PEM file of the authority of its own HTTPS. */
  readonly caFile: string;
  readonly #options: AcmeAuthorityOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'orama-acme-'));
  readonly #https = new CertificateAuthority();
  readonly #processes: ChildProcess[] = [];

  private constructor(options: AcmeAuthorityOptions) {
    this.#options = options;
    this.directory = `https://${options.address}:${ACME_PORT}/dir`;
    this.caFile = join(this.#folder, 'https.pem');
  }

  static async start(options: AcmeAuthorityOptions): Promise<AcmeAuthority> {
    const authority = new AcmeAuthority(options);
    try {
      await authority.#start();
    } catch (thrown) {
      await authority.close();
      throw thrown;
    }
    return authority;
  }

  /** The certificate that everything it issues leads to, PEM; another one at each start. */
  root(): string {
    const { address, within = [] } = this.#options;
    const [program = '', ...args] = [...within, 'curl', '-sf', '--cacert', this.caFile];
    return execFileSync(program, [...args, `https://${address}:${MANAGEMENT_PORT}/roots/0`], { encoding: 'utf8' });
  }

  async close(): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    this.#https.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { address, namesLeadTo, httpPort = 80, tlsPort = 443, validSec, dnsServer, within = [] } = this.#options;
    const { cert, key } = this.#https.issue(address);
    const file = (name: string, content: string) => {
      writeFileSync(join(this.#folder, name), content);
      return join(this.#folder, name);
    };
    writeFileSync(this.caFile, this.#https.certificate);
    const config = file(
      'pebble.json',
      JSON.stringify({
        pebble: {
          listenAddress: `${address}:${ACME_PORT}`,
          managementListenAddress: `${address}:${MANAGEMENT_PORT}`,
          certificate: file('cert.pem', cert),
          privateKey: file('key.pem', key),
          httpPort,
          tlsPort,
          ...(validSec !== undefined && { certificateValidityPeriod: validSec }),
        },
      }),
    );
    const dns = `${address}:${DNS_PORT}`;
    const run = (...command: string[]) =>
      this.#processes.push(
        spawn('setpriv', ['--pdeathsig', 'KILL', ...within, 'env', ...QUICK, ...command], { stdio: 'ignore' }),
      );
    const off = ['-http01', '', '-https01', '', '-tlsalpn01', '', '-management', `${address}:${CHALLENGE_PORT}`];
    if (dnsServer === undefined)
      run('pebble-challtestsrv', '-dns01', dns, '-defaultIPv4', namesLeadTo, '-defaultIPv6', '', ...off);
    run('pebble', '-config', config, '-dnsserver', dnsServer ?? dns);
    if (within.length > 0) return;
    await waitFor('Pebble', () => this.#answers());
  }

  #answers(): Promise<boolean> {
    const asked = Promise.withResolvers<boolean>();
    const question = request(this.directory, { ca: this.#https.certificate }, (answer) => {
      answer.resume();
      asked.resolve(answer.statusCode === 200);
    });
    question.on('error', asked.reject).end();
    return asked.promise;
  }
}
