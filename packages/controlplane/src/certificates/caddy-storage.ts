import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { type Certificate, describeError, OramaError, readCertificate } from '@orama/core';

const MAX_FILE_BYTES = 256 * 1024;

interface SeenPair {
  /** Of both files; another one when either of them is another. */
  stamp: string;
  certificate: Certificate | undefined;
}

/**
 * The certificates that Caddy keeps in files: `certificates/<issuer>/<name>/<name>.crt` and `.key`. Its folders belong to
 * another user, so that nothing in them is followed elsewhere, waited for, or read without end.
 */
export class CaddyStorage {
  readonly #folder: string;
  readonly #accounts: string;
  #seen = new Map<string, SeenPair>();

  constructor(root: string) {
    this.#folder = join(root, 'certificates');
    this.#accounts = join(root, 'acme');
  }

  /**
   * Whether Caddy has an account with an ACME authority: `acme/<authority>/users/<mail address>/` with `.json` and `.key`. Throws
   * where the files may not be read.
   * @param directory URL of the authority's directory
   */
  async hasAccount(directory: string): Promise<boolean> {
    const users = join(this.#accounts, folderOf(directory), 'users');
    const folders = await foldersIn(users);
    const files = await Promise.all(folders.map(async (user) => (await readdir(join(users, user))).map(extname)));
    return files.some((kinds) => kinds.includes('.json') && kinds.includes('.key'));
  }

  /**
   * For each name that has one: the newest certificate that is valid now, of whichever issuer, its own or that of a wildcard.
   * Throws when the files are there and may not be read.
   */
  async newest(names: readonly string[], nowMs: number): Promise<Map<string, Certificate>> {
    const issuers = await foldersIn(this.#folder);
    const before = this.#seen;
    this.#seen = new Map();
    const newest = new Map<string, Certificate>();
    for (const name of names) {
      for (const issuer of issuers) {
        for (const stem of [name, `wildcard_${name.slice(name.indexOf('.'))}`]) {
          const path = join(this.#folder, issuer, stem, stem);
          const pair = await look(path, name, nowMs, before.get(`${name} ${path}`));
          if (pair === undefined) continue;
          this.#seen.set(`${name} ${path}`, pair);
          const { certificate } = pair;
          if (certificate === undefined || certificate.status.notAfter <= nowMs) continue;
          if (certificate.notBefore > (newest.get(name)?.notBefore ?? 0)) newest.set(name, certificate);
        }
      }
    }
    return newest;
  }
}

/** As Caddy names what it keeps of an authority: `acme-v02.api.letsencrypt.org-directory`. */
function folderOf(directory: string): string {
  const [, host = '', path = ''] = /^[^:]*:\/\/([^/]*)(.*)$/.exec(directory.toLowerCase()) ?? [];
  const name = [host, path.replaceAll('/', '-').replace(/^-+|-+$/g, '')].filter(Boolean).join('-');
  return name.replaceAll(':', '-').replace(/[^\w@.-]/g, '');
}

async function foldersIn(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (thrown) {
    return absentUnless(path, thrown) ?? [];
  }
}

/** The pair of a path; what was seen before where its files are the same. Undefined where there is none. */
async function look(
  path: string,
  name: string,
  nowMs: number,
  before: SeenPair | undefined,
): Promise<SeenPair | undefined> {
  const stamps = await Promise.all([stampOf(`${path}.crt`), stampOf(`${path}.key`)]);
  if (stamps.includes(undefined)) return undefined;
  const stamp = stamps.join(' ');
  if (before?.stamp === stamp) return before;
  const cert = await readSmall(`${path}.crt`);
  const key = await readSmall(`${path}.key`);
  if (cert === undefined || key === undefined) return undefined;
  try {
    return { stamp, certificate: readCertificate({ cert, key }, { name, nowMs }) };
  } catch {
    // Half written or ended; when its files change it is read again.
    return { stamp, certificate: undefined };
  }
}

async function stampOf(path: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await lstat(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch (thrown) {
    return absentUnless(path, thrown);
  }
}

/** The text of a plain file; undefined where there is none. */
async function readSmall(path: string): Promise<string | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (thrown) {
    return absentUnless(path, thrown);
  }
  try {
    const about = await file.stat();
    return about.isFile() && about.size <= MAX_FILE_BYTES ? await file.readFile('utf8') : undefined;
  } finally {
    await file.close();
  }
}

/** Undefined where nothing that can be used is there; throws where it may not be read. */
function absentUnless(path: string, thrown: unknown): undefined {
  const { code } = thrown as NodeJS.ErrnoException;
  if (code !== 'ENOENT' && code !== 'ELOOP' && code !== 'ENOTDIR') throw unreadable(path, thrown);
}

function unreadable(path: string, thrown: unknown): OramaError {
  return new OramaError('UNAVAILABLE', `Caddy's certificates cannot be read: ${path}: ${describeError(thrown)}`, {
    cause: thrown,
    hint: 'run the controlplane as root, as its unit does, or as a user that may read them',
  });
}
