/** STUN and TURN messages as bytes: no sockets, no state. */
export * from './address.ts';
export { addressErrorCode, addressFamily, readAddressFamily } from './address-family.ts';
export * from './attributes.ts';
export * from './channel-data.ts';
export { ERROR_REASONS } from './error-code.ts';
export { fingerprint, type Integrity, integrityMatches, messageIntegrity } from './integrity.ts';
export * from './message.ts';
export { opaqueString } from './opaque-string.ts';
export * from './password-algorithms.ts';
export * from './relay-attributes.ts';
export { FRAME_MAX_BYTES, FrameReader } from './stream-framing.ts';
export { StunWriter } from './writer.ts';
