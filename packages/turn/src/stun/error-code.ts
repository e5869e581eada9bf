/** Reason phrases of the error codes this server sends (RFC 8489 section 14.8, RFC 8656 section 19). */
export const ERROR_REASONS: Readonly<Record<number, string>> = {
  300: 'Try Alternate',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  420: 'Unknown Attribute',
  437: 'Allocation Mismatch',
  438: 'Stale Nonce',
  440: 'Address Family not Supported',
  441: 'Wrong Credentials',
  442: 'Unsupported Transport Protocol',
  443: 'Peer Address Family Mismatch',
  486: 'Allocation Quota Reached',
  500: 'Server Error',
  508: 'Insufficient Capacity',
};

/** Value of ERROR-CODE (RFC 8489 section 14.8). */
export function errorCode(code: number, reason = ERROR_REASONS[code] ?? ''): Buffer {
  return Buffer.concat([Buffer.from([0, 0, Math.floor(code / 100), code % 100]), Buffer.from(reason, 'utf8')]);
}

/** The number in such a value; undefined when it is too short. */
export function readErrorCode(value: Buffer): number | undefined {
  return value.length < 4 ? undefined : ((value[2] as number) & 7) * 100 + (value[3] as number);
}

/** Value of UNKNOWN-ATTRIBUTES (RFC 8489 section 14.13). */
export function unknownAttributes(types: readonly number[]): Buffer {
  const value = Buffer.allocUnsafe(types.length * 2);
  for (const [index, type] of types.entries()) value.writeUInt16BE(type, index * 2);
  return value;
}
