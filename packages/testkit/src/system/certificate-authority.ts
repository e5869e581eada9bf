import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A small certificate authority made with the `openssl` command. */
export class CertificateAuthority {
  /** Its own certificate, PEM. */
  readonly certificate: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'orama-authority-'));

  constructor() {
    const usage = ['-addext', 'keyUsage=critical,keyCertSign'];
    this.#openssl('-subj', '/CN=Orama test authority', ...usage, '-keyout', 'ca.key', '-out', 'ca.pem');
    this.certificate = this.#read('ca.pem');
  }

  /** A server certificate for host names and addresses, and its key, PEM. */
  issue(...names: [string, ...string[]]): { cert: string; key: string } {
    const alternatives = names.map((name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`).join(',');
    const extensions = [
      ['-addext', `subjectAltName=${alternatives}`],
      ['-addext', 'basicConstraints=critical,CA:FALSE'],
      ['-addext', 'extendedKeyUsage=serverAuth'],
    ].flat();
    const issuer = ['-CA', 'ca.pem', '-CAkey', 'ca.key'];
    this.#openssl('-subj', `/CN=${names[0]}`, ...issuer, ...extensions, '-keyout', 'leaf.key', '-out', 'leaf.pem');
    return { cert: this.#read('leaf.pem'), key: this.#read('leaf.key') };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #openssl(...args: string[]): void {
    const request = ['req', '-x509', '-days', '2', '-sha256', ...NEW_KEY, ...args];
    execFileSync('openssl', request, { cwd: this.#folder, stdio: 'pipe' });
  }

  #read(file: string): string {
    return readFileSync(join(this.#folder, file), 'utf8');
  }
}
