import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import type { CertificatePair } from '@orama/core';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_kp_serverAuth,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';

const DAY_MS = 86_400_000;
/** How long a certificate of ours is good for. */
export const SELF_SIGNED_DAYS = 90;
const ID_COMMON_NAME = '2.5.4.3';
const ECDSA_WITH_SHA256 = new AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.2' });
const NAME = new Name([
  new RelativeDistinguishedName([
    new AttributeTypeAndValue({
      type: ID_COMMON_NAME,
      value: new AttributeValue({ utf8String: 'Orama TURN self-signed' }),
    }),
  ]),
]);

/** Signs certificates for itself with one ECDSA P-256 key. */
export class SelfSigner {
  readonly #publicKey: SubjectPublicKeyInfo;
  readonly #privateKey: KeyObject;
  readonly #privatePem: string;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#publicKey = AsnConvert.parse(publicKey.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo);
    this.#privateKey = privateKey;
    this.#privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }

  /**
   * A server certificate (RFC 5280) good from a day ago, for clients whose clock is behind, to `SELF_SIGNED_DAYS` on.
   * @param names host names and IP addresses it is for
   */
  sign(names: readonly string[], nowMs: number): CertificatePair {
    const tbsCertificate = new TBSCertificate({
      version: Version.v3,
      // The byte in front keeps the number positive and free of leading zeros.
      serialNumber: arrayBuffer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
      signature: ECDSA_WITH_SHA256,
      issuer: NAME,
      validity: new Validity({
        notBefore: new Date(nowMs - DAY_MS),
        notAfter: new Date(nowMs + SELF_SIGNED_DAYS * DAY_MS),
      }),
      subject: NAME,
      subjectPublicKeyInfo: this.#publicKey,
      extensions: extensions(names),
    });
    const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), this.#privateKey);
    const certificate = new Certificate({
      tbsCertificate,
      signatureAlgorithm: ECDSA_WITH_SHA256,
      signatureValue: arrayBuffer(signature),
    });
    return { cert: pem(AsnConvert.serialize(certificate)), key: this.#privatePem };
  }
}

function extensions(names: readonly string[]): Extensions {
  const alternatives = names.map((name) => new GeneralName(isIP(name) === 0 ? { dNSName: name } : { iPAddress: name }));
  return new Extensions([
    extension(id_ce_basicConstraints, true, new BasicConstraints()),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
    extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth])),
    extension(id_ce_subjectAltName, false, new SubjectAlternativeName(alternatives)),
  ]);
}

function extension(extnID: string, critical: boolean, value: unknown): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** The bytes in a buffer of their own; Node's may lie in a larger one. */
function arrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

function pem(der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
