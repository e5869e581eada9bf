import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, readCertificate, writeFileAtomic } from '@orama/core';

const SUFFIX = '.pem';
const KEY_BEGINS = /^-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----$/m;

/**
 * The last good certificate of each name, one file with chain and key each, which our other services do not see: it outlives a
 * Caddy that is gone, and a TURN server, which remembers none over a restart.
 */
export class KeptCertificates {
  readonly #folder: string;
  /** Null for a file that holds no good one, or cannot be read. */
  readonly #kept = new Map<string, Certificate | null>();
  #loaded: Promise<void> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Reads what an earlier controlplane kept. */
  load(nowMs: number): Promise<void> {
    this.#loaded ??= this.#load(nowMs);
    return this.#loaded;
  }

  names(): string[] {
    return [...this.#kept.keys()];
  }

  get(name: string): Certificate | undefined {
    return this.#kept.get(name) ?? undefined;
  }

  async put(name: string, certificate: Certificate): Promise<void> {
    const { cert, key } = certificate.pair;
    await writeFileAtomic(this.#fileOf(name), `${cert.trimEnd()}\n${key.trimEnd()}\n`);
    this.#kept.set(name, certificate);
  }

  async remove(name: string): Promise<void> {
    await rm(this.#fileOf(name), { force: true });
    this.#kept.delete(name);
  }

  async #load(nowMs: number): Promise<void> {
    for (const file of await readdir(this.#folder).catch(() => [])) {
      if (!file.endsWith(SUFFIX)) continue;
      const name = file.slice(0, -SUFFIX.length);
      try {
        const text = await readFile(this.#fileOf(name), 'utf8');
        const begin = text.search(KEY_BEGINS);
        this.#kept.set(name, readCertificate({ cert: text.slice(0, begin), key: text.slice(begin) }, { name, nowMs }));
      } catch {
        this.#kept.set(name, null);
      }
    }
  }

  #fileOf(name: string): string {
    return join(this.#folder, `${name}${SUFFIX}`);
  }
}
