import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import { expandIpv6 } from '@orama/core';
import type { CertificatePair } from './certificate.ts';
import {
  bitString,
  element,
  explicitTag,
  generalizedTime,
  implicitTag,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  utf8String,
} from './der.ts';

const DAY_MS = 86_400_000;
/** How long a certificate of ours is good for. */
export const SELF_SIGNED_DAYS = 90;
const COMMON_NAME = 'Orama TURN self-signed';

/** Object identifiers of RFC 5280 and RFC 5758. */
const ECDSA_WITH_SHA256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'));
const ID_COMMON_NAME = objectIdentifier('2.5.4.3');
const ID_KEY_USAGE = objectIdentifier('2.5.29.15');
const ID_SUBJECT_ALT_NAME = objectIdentifier('2.5.29.17');
const ID_BASIC_CONSTRAINTS = objectIdentifier('2.5.29.19');
const ID_EXTENDED_KEY_USAGE = objectIdentifier('2.5.29.37');
const ID_SERVER_AUTH = objectIdentifier('1.3.6.1.5.5.7.3.1');
const TRUE = Buffer.from([0x01, 0x01, 0xff]);
/** Bit 0, digitalSignature: all that an ECDSA key does in TLS. */
const DIGITAL_SIGNATURE = bitString(Buffer.from([0x80]), 7);

/** Signs certificates for itself with one ECDSA P-256 key. Takes well under a millisecond each. */
export class SelfSigner {
  readonly #publicKey: Buffer;
  readonly #privateKey: KeyObject;
  readonly #privatePem: string;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#publicKey = publicKey.export({ type: 'spki', format: 'der' });
    this.#privateKey = privateKey;
    this.#privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }

  /**
   * A server certificate (RFC 5280) good from a day ago, for clients whose clock is behind, to `SELF_SIGNED_DAYS` on.
   * @param names host names and IP addresses it is for
   */
  sign(names: readonly string[], nowMs: number): CertificatePair {
    const name = sequence(set(sequence(ID_COMMON_NAME, utf8String(COMMON_NAME))));
    const content = sequence(
      element(explicitTag(0), integer(Buffer.from([2]))),
      // 16 random bytes; the two in front keep the number positive and free of leading zeros.
      integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
      ECDSA_WITH_SHA256,
      name,
      sequence(generalizedTime(nowMs - DAY_MS), generalizedTime(nowMs + SELF_SIGNED_DAYS * DAY_MS)),
      name,
      this.#publicKey,
      element(explicitTag(3), extensions(names)),
    );
    const signature = sign('sha256', content, this.#privateKey);
    const certificate = sequence(content, ECDSA_WITH_SHA256, bitString(signature));
    return { cert: pem(certificate), key: this.#privatePem };
  }
}

function extensions(names: readonly string[]): Buffer {
  return sequence(
    sequence(ID_BASIC_CONSTRAINTS, TRUE, octetString(sequence())),
    sequence(ID_KEY_USAGE, TRUE, octetString(DIGITAL_SIGNATURE)),
    sequence(ID_EXTENDED_KEY_USAGE, octetString(sequence(ID_SERVER_AUTH))),
    sequence(ID_SUBJECT_ALT_NAME, octetString(sequence(...names.map(generalName)))),
  );
}

/** iPAddress [7] or dNSName [2] (RFC 5280 section 4.2.1.6). */
function generalName(name: string): Buffer {
  return isIP(name) === 0 ? element(implicitTag(2), Buffer.from(name)) : element(implicitTag(7), addressBytes(name));
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  return Buffer.from(expandIpv6(address).flatMap((group) => [group >> 8, group & 0xff]));
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
