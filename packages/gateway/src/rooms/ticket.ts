import type { RoomHome, SfuTicket } from '@orama/protocol';
import type { RoomRow } from '@orama/store';
import type { Principal } from '../auth/authenticator.ts';
import type { PlacedRoom } from './room-placer.ts';
import type { Sfu } from './sfus.ts';

/** What the gateway vouches for towards the SFU when a caller enters a room; not yet signed. */
export function ticketOf(principal: Principal, { row, sfu, home }: PlacedRoom): Omit<SfuTicket, 'exp'> {
  return {
    ns: principal.namespace,
    room: row.roomId,
    identity: principal.identity,
    permissions: { ...principal.permissions, admin: principal.role === 'owner' },
    maxParticipants: row.maxParticipants,
    maxSpeakers: row.maxSpeakers,
    ...(row.metadata === null ? {} : { roomMetadata: row.metadata }),
    ...(row.spread || sfu !== home ? { home: homeOf(home, row) } : {}),
  };
}

function homeOf({ nodeId, address, port }: Sfu, { generation }: RoomRow): RoomHome {
  return { node: nodeId, address, signalingPort: port, generation };
}
