import type { StunUri } from '@orama/protocol';

/** Milliseconds, to a thousandth. */
export type Ms = number;

/** The certificate that a server showed. */
interface ShownCertificate {
  subject: string;
  issuer: string;
  names: string[];
  /** ISO 8601. */
  validTo: string;
  fingerprint256: string;
}

/** What was measured of one server, as far as the check came. Addresses are `ip:port`. */
export interface CheckResult {
  uri: string;
  server: StunUri;
  /** The address that was checked, and all that the name has where they are several. */
  resolve?: { address: string; ms: Ms; addresses?: string[] };
  /** A TCP connection. */
  connect?: { ms: Ms };
  tls?: {
    ms: Ms;
    protocol: string;
    cipher: string;
    certificate: ShownCertificate;
    /** Why the certificate is not to be trusted; null when it is. */
    distrust: string | null;
  };
  /** Only of `stun:`. */
  binding?: { mapped: string; ms: Ms };
  allocate?: { relayed: string; mapped: string; lifetimeSec: number; software: string | null; ms: Ms };
  /** A channel from the allocation to its own relayed address. */
  bind?: { ms: Ms };
  /** Packets that went through that channel and came back. */
  relay?: { sent: number; received: number; bytes: number; minMs: Ms; medianMs: Ms; maxMs: Ms };
}
