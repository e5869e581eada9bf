import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { TurnCertificateStatus } from '@orama/protocol';
import { describeError, UserError } from './errors.ts';

/** A certificate (its chain after it) and its key, PEM. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

/** A pair that has been found good, with what is told about it. */
export interface Certificate {
  readonly pair: CertificatePair;
  readonly status: Omit<TurnCertificateStatus, 'name'>;
  /** Since when it is valid, Unix milliseconds. */
  readonly notBefore: number;
}

/**
 * Reads a pair: certificate and key must parse and belong together, be valid at `nowMs`, and cover `name` where one is
 * given. Throws a UserError that names what is wrong and what to do; the key is never in it.
 */
export function readCertificate(pair: CertificatePair, { name, nowMs }: { name?: string; nowMs: number }): Certificate {
  const certificate = parseCertificate(pair.cert);
  const key = parseKey(pair.key);
  const from = certificate.validFromDate.getTime();
  const until = certificate.validToDate.getTime();
  if (!certificate.checkPrivateKey(key)) {
    refuse('the key does not belong to the certificate', 'hand over the two files that were issued together');
  }
  if (until <= nowMs) refuse(`the certificate ended on ${isoDate(until)}`, 'renew it');
  if (from > nowMs) refuse(`the certificate begins on ${isoDate(from)}`, 'check the clock of this machine');
  if (name !== undefined && certificate.checkHost(name, { subject: 'never' }) === undefined) {
    refuse(
      `the certificate is for ${certificate.subjectAltName ?? 'no name'}, not for ${name}`,
      `issue one for ${name}`,
    );
  }
  try {
    createSecureContext({ cert: pair.cert, key: pair.key });
  } catch (thrown) {
    refuse(`TLS cannot use the pair: ${describeError(thrown)}`, 'check the chain that follows the certificate');
  }
  return {
    pair,
    status: {
      subject: oneLine(certificate.subject),
      issuer: oneLine(certificate.issuer),
      selfSigned: certificate.issuer === certificate.subject && certificate.verify(certificate.publicKey),
      notAfter: until,
      fingerprint: certificate.fingerprint256,
    },
    notBefore: from,
  };
}

function parseCertificate(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (thrown) {
    return refuse(`the certificate is not PEM: ${describeError(thrown)}`, 'it begins with -----BEGIN CERTIFICATE-----');
  }
}

function parseKey(text: string): KeyObject {
  if (/ENCRYPTED/.test(text)) refuse('the key is encrypted', 'hand it over without a passphrase');
  try {
    return createPrivateKey(text);
  } catch {
    return refuse('the key is not a PEM private key', 'it begins with -----BEGIN PRIVATE KEY-----');
  }
}

function refuse(message: string, hint: string): never {
  throw new UserError('INVALID_REQUEST', message, { hint });
}

function isoDate(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

/** Node writes a distinguished name one attribute a line. */
function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').filter(Boolean).join(', ');
}
