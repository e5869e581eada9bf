import { isIP } from 'node:net';
import {
  type Certificate,
  type CertificatePair,
  type Clock,
  type Logger,
  readCertificate,
  type Timer,
  UserError,
} from '@orama/core';
import type { TurnCertificateStatus } from '@orama/protocol';
import { CertificateFiles, type CertificatePaths } from './certificate-files.ts';
import type { ServedCertificates } from './secure-contexts.ts';
import { SELF_SIGNED_DAYS, SelfSigner } from './self-signed.ts';

const DAY_MS = 86_400_000;
/** Files and names are looked at so often. */
const CHECK_MS = 2_000;
/** A certificate of our own with less left than this is replaced. */
const RENEW_MS = (SELF_SIGNED_DAYS / 3) * DAY_MS;
/** A host name, or `*.` and one. */
const HOST_NAME = /^(?=.{1,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export interface CertificateStoreOptions {
  /** Pair for names that none was handed over for. */
  files?: CertificatePaths | undefined;
  /** Public addresses and the realm: what a certificate of our own is for in any case. */
  ownNames: readonly string[];
  /** Host names of the attached tenants; each gets a certificate of our own until one is handed over. */
  tenantNames: () => Iterable<string>;
  clock: Clock;
  logger: Logger;
  /** Called with everything, at start and whenever something has changed. */
  onChange: (served: ServedCertificates) => void;
}

/**
 * The certificates of a node: handed over by name, read from files, or made by itself. A new one replaces the old one
 * only after it has been found good.
 */
export class CertificateStore {
  readonly #options: CertificateStoreOptions;
  readonly #ownNames: readonly string[];
  readonly #files: CertificateFiles | undefined;
  readonly #signer = new SelfSigner();
  readonly #handedOver = new Map<string, Certificate>();
  readonly #selfSigned = new Map<string, Certificate>();
  #fromFiles: Certificate | undefined;
  #fallback: Certificate;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: CertificateStoreOptions) {
    this.#options = options;
    this.#ownNames = [...new Set(options.ownNames)].filter(isNameable);
    this.#files = options.files && new CertificateFiles(options.files, options.logger);
    this.#fallback = this.#signFor([]);
  }

  /** Reads the files, hands everything to `onChange`, and looks again every two seconds until closed. */
  async start(): Promise<void> {
    await this.#readFiles();
    this.#renew();
    this.#publish();
    this.#timer = this.#options.clock.every(CHECK_MS, () => void this.#check());
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** Takes the certificate of a name. Throws a UserError that names the problem, and keeps what was there. */
  put(name: string, pair: CertificatePair): TurnCertificateStatus {
    const host = hostName(name);
    const certificate = readCertificate(pair, { name: host, nowMs: this.#options.clock.now() });
    this.#handedOver.set(host, certificate);
    this.#selfSigned.delete(host);
    this.#options.logger.info({ name: host, ...certificate.status }, 'certificate taken');
    this.#publish();
    return { name: host, ...certificate.status };
  }

  /** Forgets the certificate of a name; false when none was handed over. */
  delete(name: string): boolean {
    const host = hostName(name);
    if (!this.#handedOver.delete(host)) return false;
    this.#options.logger.info({ name: host }, 'certificate forgotten');
    this.#renew();
    this.#publish();
    return true;
  }

  /** Every certificate that is served, the one for every other name (null) first. */
  list(): TurnCertificateStatus[] {
    const named = [...this.#named()].map(([name, { status }]) => ({ name, ...status }));
    return [{ name: null, ...(this.#fromFiles ?? this.#fallback).status }, ...named];
  }

  async #check(): Promise<void> {
    const read = await this.#readFiles();
    if (this.#closed) return;
    const renewed = this.#renew();
    if (read || renewed) this.#publish();
  }

  async #readFiles(): Promise<boolean> {
    const certificate = await this.#files?.read(this.#options.clock.now());
    if (certificate === undefined) return false;
    this.#fromFiles = certificate;
    return true;
  }

  /** Makes what certificates of our own are missing or near their end; drops those no longer wanted. */
  #renew(): boolean {
    let changed = false;
    if (this.#isOld(this.#fallback)) {
      this.#fallback = this.#signFor([]);
      changed = true;
    }
    const wanted = new Set<string>();
    for (const name of this.#options.tenantNames()) {
      if (isNameable(name) && !this.#handedOver.has(name)) wanted.add(name);
    }
    for (const name of this.#selfSigned.keys())
      changed = (!wanted.has(name) && this.#selfSigned.delete(name)) || changed;
    for (const name of wanted) {
      const known = this.#selfSigned.get(name);
      if (known !== undefined && !this.#isOld(known)) continue;
      this.#selfSigned.set(name, this.#signFor([name]));
      changed = true;
    }
    return changed;
  }

  #isOld({ status }: Certificate): boolean {
    return status.notAfter - this.#options.clock.now() < RENEW_MS;
  }

  #signFor(names: readonly string[]): Certificate {
    const nowMs = this.#options.clock.now();
    return readCertificate(this.#signer.sign([...names, ...this.#ownNames], nowMs), { nowMs });
  }

  *#named(): Iterable<[string, Certificate]> {
    yield* this.#handedOver;
    // A pair from files is for every name that none was handed over for.
    if (this.#fromFiles === undefined) yield* this.#selfSigned;
  }

  #publish(): void {
    const named = new Map([...this.#named()].map(([name, { pair }]) => [name, pair]));
    this.#options.onChange({ named, fallback: (this.#fromFiles ?? this.#fallback).pair });
  }
}

function hostName(name: string): string {
  const host = name.toLowerCase();
  if (!HOST_NAME.test(host)) {
    throw new UserError('INVALID_REQUEST', `"${name}" is not a host name`, {
      hint: 'name the host that clients connect to, such as turn.ns-demo.example.com',
    });
  }
  return host;
}

/** What a certificate can be for: a host name, or an address that is not "any". */
function isNameable(name: string): boolean {
  return isIP(name) === 0 ? HOST_NAME.test(name) : name !== '0.0.0.0' && name !== '::';
}
