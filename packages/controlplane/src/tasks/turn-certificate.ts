import { type TurnCertificateStatus, turnCertificateStatusSchema } from '@orama/protocol';
import { z } from 'zod';

/** What the status of a namespace says of a certificate; part of a node's report. */
export const reportedCertificateSchema = turnCertificateStatusSchema
  .pick({ issuer: true, selfSigned: true, notAfter: true })
  .extend({ problem: z.string().optional() });

/** The certificate that a TURN server shows for a host name: its own, that of a wildcard, or the one for every other. */
export function certificateFor(name: string, certificates: readonly TurnCertificateStatus[]) {
  const named = (wanted: string | null) => certificates.find((one) => one.name === wanted);
  const shown = named(name) ?? named(`*${name.slice(name.indexOf('.'))}`) ?? named(null);
  return shown && { issuer: shown.issuer, selfSigned: shown.selfSigned, notAfter: shown.notAfter };
}
