import type { SfuTicket } from '@orama/protocol';
import type { Principal } from '../auth/authenticator.ts';
import type { PlacedRoom } from './room-placer.ts';

/** What the gateway vouches for towards the SFU when a caller enters a room; not yet signed. */
export function ticketOf(principal: Principal, { row }: PlacedRoom): Omit<SfuTicket, 'exp'> {
  return {
    ns: principal.namespace,
    room: row.roomId,
    identity: principal.identity,
    permissions: { ...principal.permissions, admin: principal.role === 'owner' },
    maxParticipants: row.maxParticipants,
    maxSpeakers: row.maxSpeakers,
    ...(row.metadata === null ? {} : { roomMetadata: row.metadata }),
  };
}
