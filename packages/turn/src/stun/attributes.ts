/** Attribute types of RFC 8489 section 18.3 and RFC 8656 section 18, by the names the RFCs give them. */
export const ATTRIBUTE = {
  mappedAddress: 0x0001,
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  channelNumber: 0x000c,
  lifetime: 0x000d,
  xorPeerAddress: 0x0012,
  data: 0x0013,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedAddressFamily: 0x0017,
  evenPort: 0x0018,
  requestedTransport: 0x0019,
  dontFragment: 0x001a,
  messageIntegritySha256: 0x001c,
  passwordAlgorithm: 0x001d,
  userhash: 0x001e,
  xorMappedAddress: 0x0020,
  reservationToken: 0x0022,
  additionalAddressFamily: 0x8000,
  addressErrorCode: 0x8001,
  passwordAlgorithms: 0x8002,
  alternateDomain: 0x8003,
  icmp: 0x8004,
  software: 0x8022,
  alternateServer: 0x8023,
  fingerprint: 0x8028,
  /** ADDITIONAL-ADDRESS-FAMILY under the number it had before RFC 8656, which coturn's clients use. */
  additionalAddressFamilyDraft: 0x8032,
} as const;

/** Attributes that every message of a client with credentials may carry (RFC 8489 section 9.2). */
export const CREDENTIAL_ATTRIBUTES: readonly number[] = [
  ATTRIBUTE.username,
  ATTRIBUTE.messageIntegrity,
  ATTRIBUTE.messageIntegritySha256,
  ATTRIBUTE.realm,
  ATTRIBUTE.nonce,
  ATTRIBUTE.passwordAlgorithm,
  ATTRIBUTE.userhash,
];

/** True for the types a receiver must understand or answer with 420 (RFC 8489 section 14). */
export function isComprehensionRequired(type: number): boolean {
  return type < 0x8000;
}
