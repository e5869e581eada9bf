/** Numbers of the wire format (RFC 1035, IANA's DNS parameters) that the embedded server speaks. */
export const Type = {
  A: 1,
  NS: 2,
  SOA: 6,
  TXT: 16,
  AAAA: 28,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const CLASS_IN = 1;

export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;
export type RcodeName = keyof typeof Rcode;

/** Bits of the second 16-bit word of a header. */
export const Flag = {
  QR: 0x8000,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
} as const;

export const HEADER_BYTES = 12;
/** DO, the only flag of an OPT record (RFC 3225). */
export const DNSSEC_OK = 0x8000;
