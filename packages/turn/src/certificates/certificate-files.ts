import { readFile } from 'node:fs/promises';
import {
  type Certificate,
  type CertificatePair,
  describeError,
  type Logger,
  OramaError,
  readCertificate,
} from '@orama/core';

/** Paths of a pair, PEM. */
export interface CertificatePaths {
  readonly certFile: string;
  readonly keyFile: string;
}

/**
 * A pair in files. It is read again and again and compared, instead of watched: that sees a rename, a change of a
 * link and a second write within the same tick alike. What cannot be used is told once and changes nothing.
 */
export class CertificateFiles {
  readonly #paths: CertificatePaths;
  readonly #logger: Logger;
  /** What was read last, good or bad; text of the problem when it could not be read. */
  #seen: CertificatePair | string | undefined;

  constructor(paths: CertificatePaths, logger: Logger) {
    this.#paths = paths;
    this.#logger = logger;
  }

  /** The pair if there is a new and good one. Never rejects. */
  async read(nowMs: number): Promise<Certificate | undefined> {
    const { certFile, keyFile } = this.#paths;
    let pair: CertificatePair;
    try {
      pair = { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') };
    } catch (thrown) {
      const reason = describeError(thrown);
      this.#complain(reason, reason);
      return undefined;
    }
    const seen = this.#seen;
    if (typeof seen === 'object' && seen.cert === pair.cert && seen.key === pair.key) return undefined;
    this.#seen = pair;
    try {
      const certificate = readCertificate(pair, { nowMs });
      this.#logger.info({ certFile, ...certificate.status }, 'certificate files read');
      return certificate;
    } catch (thrown) {
      this.#complain(pair, describeError(thrown), thrown instanceof OramaError ? thrown.hint : undefined);
      return undefined;
    }
  }

  #complain(seen: CertificatePair | string, reason: string, hint?: string): void {
    if (this.#seen !== seen || typeof seen === 'object') {
      this.#logger.error({ ...this.#paths, reason, hint }, 'certificate files cannot be used, what was there stays');
    }
    this.#seen = seen;
  }
}
