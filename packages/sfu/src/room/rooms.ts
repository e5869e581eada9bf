import { UserError } from '@orama/core';
import { type SfuRoom, type SfuTicket, SIGNALLING_CLOSE } from '@orama/protocol';
import { FrameError, type Outlet } from '../signalling/outlet.ts';
import type { SfuContext } from './context.ts';
import type { Peer, Playback } from './peer.ts';
import { Room } from './room.ts';

const MAX_BANS = 10_000;

export interface RoomsJoin {
  ticket: SfuTicket;
  name: string | undefined;
  metadata: Record<string, unknown> | undefined;
  resume: string | undefined;
  outlet: Outlet;
  /** Of a session without signalling; see PeerOptions. */
  playback?: Playback | undefined;
}

/** All rooms of one SFU process. */
export class Rooms {
  readonly #context: SfuContext;
  readonly #rooms = new Map<string, Room>();
  /** Kicked identities by room, until when they stay out. */
  readonly #bans = new Map<string, number>();
  #draining = false;

  constructor(context: SfuContext) {
    this.#context = context;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** Every room that something is known of, also those that are empty. */
  get ids(): string[] {
    const banned = [...this.#bans.keys()].map((key) => key.slice(0, key.indexOf('\n')));
    return [...new Set([...this.#rooms.keys(), ...banned])];
  }

  get roomCount(): number {
    let count = 0;
    for (const room of this.#rooms.values()) if (room.size > 0) count++;
    return count;
  }

  get peerCount(): number {
    let count = 0;
    for (const room of this.#rooms.values()) count += room.size;
    return count;
  }

  get trackCount(): number {
    let count = 0;
    for (const peer of this.peers()) count += [...peer.publications].length;
    return count;
  }

  /** How many tracks are not sent to somebody for want of bandwidth. */
  get pausedTrackCount(): number {
    let count = 0;
    for (const peer of this.peers()) count += peer.pausedTrackCount;
    return count;
  }

  *peers(): Generator<Peer> {
    for (const room of this.#rooms.values()) yield* room.peers;
  }

  /** Lets a client into the room of its ticket, or gives it back the peer its token names. @throws FrameError */
  join(request: RoomsJoin): { peer: Peer; room: Room } {
    const { ticket } = request;
    if (this.#draining)
      throw new FrameError('draining', 'this server is draining; reconnect', { closeCode: SIGNALLING_CLOSE.moved });
    const bannedUntil = this.#bans.get(banKey(ticket.room, ticket.identity)) ?? 0;
    if (bannedUntil > this.#context.clock.now())
      throw new FrameError('forbidden', 'you were removed from this room', { closeCode: SIGNALLING_CLOSE.notAllowed });
    const existing = this.#rooms.get(ticket.room);
    if (request.resume !== undefined && existing) {
      const peer = existing.findByToken(request.resume, ticket.identity);
      if (peer) {
        existing.resume(peer, request.outlet);
        return { peer, room: existing };
      }
    }
    if (this.#context.isBusy())
      throw new FrameError('capacity', 'this server has as much to do as it can; try again in a moment', {
        closeCode: SIGNALLING_CLOSE.moved,
      });
    const room = existing ?? new Room(ticket.room, ticket, this.#context);
    if (!existing) this.#rooms.set(ticket.room, room);
    return { room, peer: room.join(request) };
  }

  list(): SfuRoom[] {
    return [...this.#rooms.values()].filter((room) => room.size > 0).map((room) => room.describe());
  }

  /** Closes a room; one that does not exist is closed already. @returns how many were in it */
  close(roomId: string): number {
    const room = this.#rooms.get(roomId);
    this.#rooms.delete(roomId);
    return room?.close('room-closed') ?? 0;
  }

  /** Removes a peer and keeps its identity out for `banSec`. @throws UserError when it is not here */
  kick(roomId: string, peerId: string, reason: string, banSec: number): void {
    const peer = this.#require(roomId).kick(peerId, reason);
    if (banSec === 0) return;
    if (this.#bans.size >= MAX_BANS) this.#forgetBans();
    this.#bans.set(banKey(roomId, peer.ticket.identity), this.#context.clock.now() + banSec * 1000);
  }

  /** Mutes or unmutes a peer's tracks. @returns how many changed. @throws UserError when it is not here */
  mute(roomId: string, peerId: string, muted: boolean, kind?: 'audio' | 'video'): number {
    const peer = this.#require(roomId).peer(peerId);
    if (!peer) throw new UserError('PEER_NOT_FOUND', `there is no peer ${peerId} in the room`);
    return peer.forceMute(muted, kind);
  }

  /** Every peer's periodic work. */
  tick(nowMs: number, withTransportFeedback: boolean): void {
    for (const room of this.#rooms.values()) room.tick(nowMs, withTransportFeedback);
  }

  /** Removes rooms that have been empty for a while, and bans that are over. */
  sweep(): void {
    const nowMs = this.#context.clock.now();
    for (const [id, room] of this.#rooms) if (room.isExpired(nowMs)) this.#rooms.delete(id);
    this.#forgetBans();
  }

  /** No new joins; everyone is told to reconnect within `timeoutMs`. */
  drain(timeoutMs: number): void {
    this.#draining = true;
    for (const room of this.#rooms.values())
      room.tellAll({ type: 'server-draining', reason: 'the server is going down', timeoutMs });
  }

  /** Ends every room. */
  closeAll(): void {
    for (const room of this.#rooms.values()) room.close('draining');
    this.#rooms.clear();
  }

  #require(roomId: string): Room {
    const room = this.#rooms.get(roomId);
    if (!room) throw new UserError('ROOM_NOT_FOUND', `there is no room ${roomId} here`);
    return room;
  }

  #forgetBans(): void {
    const nowMs = this.#context.clock.now();
    for (const [key, until] of this.#bans) if (until <= nowMs) this.#bans.delete(key);
  }
}

function banKey(room: string, identity: string): string {
  return `${room}\n${identity}`;
}
