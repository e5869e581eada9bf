import { ATTRIBUTE, readAddressFamily } from '../../stun/index.ts';
import { grantedLifetimeSec, type ServerContext, type TurnRequest } from '../context.ts';
import { failure, success } from '../replies.ts';

/**
 * Refresh (RFC 8656 section 8.2): a new lifetime, or the end when LIFETIME is 0, of all of it or of one family's half. An
 * end is answered when it is over: whoever has read the answer finds port and quota free, whichever worker is asked next.
 */
export async function handleRefresh(
  { message, client, identity }: TurnRequest,
  context: ServerContext,
): Promise<Buffer> {
  // 1. There must be an allocation.
  const allocation = client.allocation;
  if (allocation === undefined) return failure(message, 437, identity.key);
  // 2. REQUESTED-ADDRESS-FAMILY names one half, and the allocation must have it.
  const requestedFamily = message.bytes(ATTRIBUTE.requestedAddressFamily);
  const family = requestedFamily && readAddressFamily(requestedFamily);
  if (family === 'malformed') return failure(message, 400, identity.key);
  if (family === 'unknown' || (family !== undefined && !allocation.has(family))) {
    return failure(message, 443, identity.key);
  }
  // 3. The lifetime that is granted.
  const requestedSec = message.uint32(ATTRIBUTE.lifetime);
  if (message.has(ATTRIBUTE.lifetime) && requestedSec === undefined) return failure(message, 400, identity.key);
  const lifetimeSec = requestedSec === 0 ? 0 : grantedLifetimeSec(requestedSec, context);
  if (lifetimeSec === 0) await allocation.end('refreshed-to-zero', family);
  else allocation.refresh(lifetimeSec, family);
  return success(message, identity.key, (writer) => writer.uint32(ATTRIBUTE.lifetime, lifetimeSec));
}
