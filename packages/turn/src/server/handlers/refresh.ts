import { ADDRESS_FAMILY, ATTRIBUTE } from '../../stun/index.ts';
import { grantedLifetimeSec, type ServerContext, type TurnRequest } from '../context.ts';
import { failure, success } from '../replies.ts';

/** Refresh (RFC 8656 section 8.2): a new lifetime, or the end when LIFETIME is 0. */
export function handleRefresh({ message, client, identity }: TurnRequest, context: ServerContext): Buffer {
  const allocation = client.allocation;
  if (allocation === undefined) return failure(message, 437, identity.key);
  const family = message.bytes(ATTRIBUTE.requestedAddressFamily);
  if (family !== undefined && family[0] !== ADDRESS_FAMILY.ipv4) return failure(message, 443, identity.key);
  const requestedSec = message.uint32(ATTRIBUTE.lifetime);
  if (message.has(ATTRIBUTE.lifetime) && requestedSec === undefined) return failure(message, 400, identity.key);

  const lifetimeSec = requestedSec === 0 ? 0 : grantedLifetimeSec(requestedSec, context);
  if (lifetimeSec === 0) void allocation.close('refreshed-to-zero');
  else allocation.refresh(lifetimeSec);
  return success(message, identity.key, (writer) => writer.uint32(ATTRIBUTE.lifetime, lifetimeSec));
}
