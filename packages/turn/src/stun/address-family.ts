import type { AddressFamily } from './address.ts';
import { errorCode } from './error-code.ts';

/** Bytes of REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY: the family and three that are not used. */
const FAMILY_BYTES = 4;
const IPV4 = 0x01;
const IPV6 = 0x02;

/** Value of REQUESTED-ADDRESS-FAMILY or ADDITIONAL-ADDRESS-FAMILY (RFC 8656 sections 18.6 and 18.11). */
export function addressFamily(family: AddressFamily): Buffer {
  return Buffer.from([family === 6 ? IPV6 : IPV4, 0, 0, 0]);
}

/** The family in such a value: `malformed` for a wrong size, `unknown` for a family that does not exist. */
export function readAddressFamily(value: Buffer): AddressFamily | 'malformed' | 'unknown' {
  if (value.length !== FAMILY_BYTES) return 'malformed';
  if (value[0] === IPV4) return 4;
  return value[0] === IPV6 ? 6 : 'unknown';
}

/** Value of ADDRESS-ERROR-CODE: why there is no relayed address of a family (RFC 8656 section 18.12). */
export function addressErrorCode(family: AddressFamily, code: number): Buffer {
  const value = errorCode(code);
  value[0] = family === 6 ? IPV6 : IPV4;
  return value;
}
