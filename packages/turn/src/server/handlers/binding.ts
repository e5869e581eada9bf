import type { ClientTransport } from '../../listener/client-transport.ts';
import { ATTRIBUTE, type StunMessage } from '../../stun/index.ts';
import { failure, success } from '../replies.ts';

const UNDERSTOOD: ReadonlySet<number> = new Set([
  ATTRIBUTE.username,
  ATTRIBUTE.messageIntegrity,
  ATTRIBUTE.messageIntegritySha256,
  ATTRIBUTE.realm,
  ATTRIBUTE.nonce,
  ATTRIBUTE.passwordAlgorithm,
  ATTRIBUTE.userhash,
  ATTRIBUTE.mappedAddress,
]);

/** Binding (RFC 8489 section 7): tells a client its own address. Needs no credentials. */
export function handleBinding(message: StunMessage, client: ClientTransport): Buffer {
  const unknown = message.unknownAttributes(UNDERSTOOD);
  if (unknown.length > 0) return failure(message, 420, undefined, (writer) => writer.unknownAttributes(unknown));
  return success(message, undefined, (writer) =>
    writer.address(ATTRIBUTE.xorMappedAddress, client.remoteAddress, client.remotePort),
  );
}
