import { UserError } from '@orama/core';
import { type RoomHome, type SfuRoom, type SfuTicket, SIGNALLING_CLOSE } from '@orama/protocol';
import type { LinkSocket } from '../signalling/link-socket.ts';
import { FrameError, type Outlet } from '../signalling/outlet.ts';
import type { SfuContext } from './context.ts';
import type { Peer } from './peer.ts';
import type { Playback } from './received-tracks.ts';
import { Room } from './room.ts';

const MAX_BANS = 10_000;

export interface RoomsJoin {
  ticket: SfuTicket;
  name: string | undefined;
  metadata: Record<string, unknown> | undefined;
  resume: string | undefined;
  /** Whether data channels of others are wanted. */
  channels: boolean;
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

  /** Links to other SFUs of the same rooms. */
  get linkCount(): number {
    let count = 0;
    for (const room of this.#rooms.values()) count += room.linkCount;
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

  /**
   * Makes ready the room of a ticket: one that another SFU holds has to be joined there first.
   * @returns null when it is ready; else it settles then, and rejects when the other SFU cannot be reached
   * @throws FrameError
   */
  open(ticket: SfuTicket): Promise<void> | null {
    const home = this.#homeOf(ticket);
    const room = this.#current(ticket, home);
    if (room) return room.ready;
    return home && !this.#draining ? this.#make(ticket, home).connect(home, ticket) : null;
  }

  /** Takes the link of another SFU that serves a room of ours. */
  link(ticket: SfuTicket, socket: LinkSocket): void {
    const node = ticket.link ?? '';
    try {
      const room = this.#homeOf(ticket) === null && !this.#draining ? this.#current(ticket, null) : undefined;
      if (room || !(this.#homeOf(ticket) || this.#draining)) (room ?? this.#make(ticket, null)).link(socket, node);
      else socket.close(SIGNALLING_CLOSE.moved, 'not the home of the room');
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) throw thrown;
      socket.close(thrown.closeCode ?? SIGNALLING_CLOSE.moved, thrown.code);
    }
  }

  /** Lets a client into the room of its ticket, or gives it back the peer its token names. @throws FrameError */
  join(request: RoomsJoin): { peer: Peer; room: Room } {
    const { ticket } = request;
    if (this.#draining)
      throw new FrameError('draining', 'this server is draining; reconnect', { closeCode: SIGNALLING_CLOSE.moved });
    if (this.#isBanned(ticket.room, ticket.identity))
      throw new FrameError('forbidden', 'you were removed from this room', { closeCode: SIGNALLING_CLOSE.notAllowed });
    const home = this.#homeOf(ticket);
    const existing = this.#current(ticket, home);
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
    if (home && !existing)
      throw new FrameError('sfu_unavailable', 'the server that holds the room has gone; reconnect', {
        closeCode: SIGNALLING_CLOSE.moved,
      });
    const room = existing ?? this.#make(ticket, null);
    return { room, peer: room.join(request) };
  }

  /** The rooms that are held here and that somebody is in, here or elsewhere. */
  list(): SfuRoom[] {
    return [...this.#rooms.values()]
      .filter((room) => room.home === null && room.population > 0)
      .map((room) => room.describe());
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
    this.#bans.set(banKey(roomId, peer.identity), this.#context.clock.now() + banSec * 1000);
  }

  /** Mutes or unmutes a peer's tracks. @returns how many changed. @throws UserError when it is not here */
  mute(roomId: string, peerId: string, muted: boolean, kind?: 'audio' | 'video'): number {
    return this.#require(roomId).mute(peerId, muted, kind);
  }

  /** Every peer's periodic work, a peer a step. Others may come and go between two steps. */
  *tick(withTransportFeedback: boolean): Generator<void> {
    for (const room of this.#rooms.values()) yield* room.tick(withTransportFeedback);
  }

  /** Removes rooms that have been empty for a while, and bans that are over. */
  sweep(): void {
    const nowMs = this.#context.clock.now();
    for (const [id, room] of this.#rooms) {
      if (!room.isExpired(nowMs)) continue;
      this.#rooms.delete(id);
      room.close('draining');
    }
    this.#forgetBans();
  }

  /** No new joins; everyone is told to reconnect within `timeoutMs`. */
  drain(timeoutMs: number): void {
    this.#draining = true;
    for (const room of this.#rooms.values()) room.drain(timeoutMs);
  }

  /** Ends every room. */
  closeAll(): void {
    for (const room of this.#rooms.values()) room.close('draining');
    this.#rooms.clear();
  }

  /** The SFU that holds the room, where it is another one. */
  #homeOf({ home }: SfuTicket): RoomHome | null {
    return home && home.node !== this.#context.config.node ? home : null;
  }

  /**
   * The room as it is known here. One that was held elsewhere, or here before, has ended: its clients are sent after it.
   * @throws FrameError when the ticket is the one of the past
   */
  #current(ticket: SfuTicket, home: RoomHome | null): Room | undefined {
    const room = this.#rooms.get(ticket.room);
    if (!room) return undefined;
    const generation = ticket.home?.generation ?? room.generation;
    const isSame = room.home?.node === home?.node;
    // Every move of a room raises the generation of its row.
    if (generation < room.generation || (!isSame && ticket.home && generation === room.generation))
      throw new FrameError('sfu_unavailable', 'the room is held elsewhere; reconnect', {
        closeCode: SIGNALLING_CLOSE.moved,
      });
    if (isSame && (home === null || generation === room.generation)) {
      room.generation = generation;
      return room;
    }
    this.#rooms.delete(ticket.room);
    room.close('draining');
    return undefined;
  }

  #make(ticket: SfuTicket, home: RoomHome | null): Room {
    const { room: id } = ticket;
    const room: Room = new Room(id, ticket, this.#context, {
      home,
      generation: ticket.home?.generation ?? 0,
      isBanned: (identity) => this.#isBanned(id, identity),
      onEnd: () => {
        if (this.#rooms.get(id) === room) this.#rooms.delete(id);
      },
    });
    this.#rooms.set(id, room);
    return room;
  }

  #isBanned(roomId: string, identity: string): boolean {
    return (this.#bans.get(banKey(roomId, identity)) ?? 0) > this.#context.clock.now();
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
