import { equalsConstantTime, type Logger, UserError } from '@orama/core';
import {
  type ClientFrameOf,
  DATA_MAX_BYTES,
  type LinkFrameOf,
  type RoomHome,
  type ServerFrame,
  type SfuRoom,
  type SfuTicket,
  SIGNALLING_CLOSE,
} from '@orama/protocol';
import type { DataPort } from '../data/data-port.ts';
import type { RemotePeer } from '../link/remote-peer.ts';
import { type LinksHost, RoomLinks } from '../link/room-links.ts';
import type { Publication } from '../media/publication.ts';
import type { Codec } from '../rtc/codecs.ts';
import type { LinkSocket } from '../signalling/link-socket.ts';
import { FrameError, type Outlet } from '../signalling/outlet.ts';
import type { SfuContext } from './context.ts';
import { guardedClock } from './guarded-clock.ts';
import type { Member } from './member.ts';
import { Peer } from './peer.ts';
import type { LeaveReason, PeerHost } from './peer-host.ts';
import type { Playback } from './received-tracks.ts';
import { RoomLifetime } from './room-lifetime.ts';
import { RoomVoices } from './room-voices.ts';
import { welcomeFrame } from './welcome.ts';

/** What the socket of a leaving peer is closed with. */
const LEAVE_CLOSE: Readonly<Record<LeaveReason, number>> = {
  left: SIGNALLING_CLOSE.normal,
  timeout: SIGNALLING_CLOSE.normal,
  'media-failed': SIGNALLING_CLOSE.moved,
  kicked: SIGNALLING_CLOSE.notAllowed,
  'room-closed': SIGNALLING_CLOSE.noSuchRoom,
  draining: SIGNALLING_CLOSE.moved,
  replaced: SIGNALLING_CLOSE.normal,
  'protocol-error': SIGNALLING_CLOSE.protocolError,
};

/** What the room's owner chose for it; every ticket carries it. */
export type RoomSettings = Pick<SfuTicket, 'maxParticipants' | 'maxSpeakers' | 'roomMetadata'>;

export interface JoinRequest {
  ticket: SfuTicket;
  name: string | undefined;
  metadata: Record<string, unknown> | undefined;
  channels: boolean;
  outlet: Outlet;
  /** Of a session without signalling; see PeerOptions. */
  playback?: Playback | undefined;
}

export interface RoomOptions {
  /** The SFU that holds the room, where that is another one; null where it is held here. */
  home: RoomHome | null;
  /** Of the room's row, as far as a ticket told: it rises whenever another SFU takes the room. */
  generation: number;
  isBanned: (identity: string) => boolean;
  /** The room's home is gone, or has closed it: it has ended here too. */
  onEnd: () => void;
}

/** Peers that see and hear each other; of those that are connected to other SFUs, its links tell. */
export class Room implements PeerHost, LinksHost {
  readonly id: string;
  readonly home: RoomHome | null;
  /** Of the room's row, as the newest ticket told. */
  generation: number;
  readonly #options: RoomOptions;
  readonly #links: RoomLinks;
  readonly #context: SfuContext;
  readonly #logger: Logger;
  readonly #peers = new Map<string, Peer>();
  readonly #lifetime: RoomLifetime;
  #settings: RoomSettings;
  #voices: RoomVoices;

  constructor(id: string, settings: RoomSettings, context: SfuContext, options: RoomOptions) {
    this.id = id;
    this.home = options.home;
    this.generation = options.generation;
    this.#options = options;
    this.#context = context;
    this.#logger = context.logger.child({ room: id });
    this.#settings = settings;
    this.#voices = this.#listen();
    this.#links = new RoomLinks(this, context, this.#logger);
    this.#lifetime = new RoomLifetime(context.clock, options.home === null);
  }

  get peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** How many are in it here. */
  get size(): number {
    return this.#peers.size;
  }

  /** How many are in it, at all SFUs that serve it. */
  get population(): number {
    return this.#peers.size + this.#links.remotes.size;
  }

  /** How many other SFUs it is linked to. */
  get linkCount(): number {
    return this.#links.size;
  }

  /** Whether nobody is in it, and nobody was for a while. */
  isExpired(nowMs: number): boolean {
    return this.#lifetime.isOver(nowMs, this.#peers.size, this.#links.size);
  }

  /** Settles when the room's home has told who is in it; null when that is known. Rejects when it cannot be reached. */
  get ready(): Promise<void> | null {
    return this.#links.ready;
  }

  /** Joins the room at its home. @returns see `ready` */
  connect(home: RoomHome, ticket: SfuTicket): Promise<void> {
    return this.#links.connect(home, ticket);
  }

  /** Takes the link of another SFU that serves the room. */
  link(socket: LinkSocket, node: string): void {
    this.#links.accept(socket, node, this.#members);
  }

  peer(peerId: string): Peer | undefined {
    return this.#peers.get(peerId);
  }

  /** The peer that a resume token belongs to. */
  findByToken(token: string, identity: string): Peer | undefined {
    for (const peer of this.#peers.values())
      if (equalsConstantTime(peer.resumeToken, token) && peer.ticket.identity === identity) return peer;
    return undefined;
  }

  /** Lets a peer in and tells the others. @throws FrameError when the room or the server is full */
  join(request: JoinRequest): Peer {
    this.#settings = request.ticket;
    // A room that was deleted and made anew with other settings.
    if (this.population === 0) this.#voices = this.#listen();
    const { maxParticipants } = this.#settings;
    if (this.population >= maxParticipants)
      throw new FrameError('room_full', `the room takes ${maxParticipants} participants`, {
        closeCode: SIGNALLING_CLOSE.noSuchRoom,
      });
    const releasePort = this.#context.ports.take();
    if (!releasePort)
      throw new FrameError('capacity', 'this server has no media port left', { closeCode: SIGNALLING_CLOSE.moved });
    const peer: Peer = new Peer({
      ticket: request.ticket,
      name: request.name,
      metadata: request.metadata,
      channels: request.channels,
      host: this,
      context: {
        ...this.#context,
        clock: guardedClock(this.#context.clock, (thrown) => this.#endByFault(peer, thrown)),
      },
      logger: this.#logger,
      playback: request.playback,
      releasePort,
    });
    this.#peers.set(peer.id, peer);
    this.#lifetime.noteService();
    this.#logger.info({ peer: peer.id }, 'peer joined');
    this.#welcome(peer, request.outlet, false);
    this.#tellOthers(peer, { type: 'peer-joined', ...peer.description });
    this.#links.joined(peer);
    for (const other of this.others(peer)) {
      for (const publication of other.publications) this.#subscribe(peer, publication);
      other.data.greet(peer.data);
    }
    for (const remote of this.#links.remotes.values()) {
      for (const publication of remote.publications) this.#subscribe(peer, publication);
      remote.data.greet(peer.data);
    }
    const { frame } = this.#voices;
    if (frame.speakers.length > 0) peer.send(frame);
    return peer;
  }

  /** Gives a peer whose socket dropped its new one. */
  resume(peer: Peer, outlet: Outlet): void {
    this.#logger.info({ peer: peer.id }, 'peer resumed');
    this.#welcome(peer, outlet, true);
    peer.repeatState();
    for (const publication of peer.publications) if (publication.forcedMute) peer.send(updateOf(peer, publication));
    peer.send(this.#voices.frame);
  }

  /** Takes a peer out and tells the others why. */
  leave(peer: Peer, reason: LeaveReason): void {
    if (!this.#peers.delete(peer.id)) return;
    this.#lifetime.noteService();
    this.#logger.info({ peer: peer.id, reason }, 'peer left');
    if (reason === 'media-failed')
      peer.send({ type: 'error', code: 'media_failed', message: 'the media connection is gone; join again' });
    try {
      this.left(peer, reason);
    } finally {
      peer.close(LEAVE_CLOSE[reason], reason);
    }
  }

  joined(member: RemotePeer): void {
    this.#lifetime.noteActivity();
    this.tellAll({ type: 'peer-joined', ...member.description });
    this.#links.joined(member);
  }

  left(member: Member, reason: LeaveReason): void {
    this.#lifetime.noteActivity();
    this.#links.left(member, reason);
    const publications = [...member.publications];
    for (const publication of publications) this.#voices.remove(publication);
    this.#forEach((other) => {
      for (const publication of publications) other.unsubscribe(publication);
      other.send({ type: 'peer-left', peerId: member.id, reason });
    });
  }

  published(member: Member, publication: Publication): void {
    this.#lifetime.noteActivity();
    this.#voices.add(publication);
    this.#forEach((other) => other !== member && this.#subscribe(other, publication));
    this.#links.published(member, publication);
  }

  unpublished(member: Member, publication: Publication): void {
    this.#lifetime.noteActivity();
    this.#voices.remove(publication);
    this.#forEach((other) => other !== member && other.unsubscribe(publication));
    this.#links.unpublished(member, publication);
  }

  updated(member: Member, publication: Publication): void {
    this.tellAll(updateOf(member, publication));
    this.#links.updated(member, publication);
  }

  renegotiated(member: Member, publication: Publication): void {
    this.#links.updated(member, publication);
  }

  notDecoded(publication: Publication): void {
    this.#peers.get(publication.peerId)?.offerCodecs();
    this.#links.notDecoded(publication);
  }

  isDecodable(publisher: Peer, codec: Codec): boolean {
    for (const peer of this.others(publisher)) if (!peer.decodes(codec)) return false;
    return this.#links.decodes(codec.key);
  }

  codecChanged(publication: Publication): void {
    const publisher = this.#publisherOf(publication);
    if (publisher) this.#links.updated(publisher, publication);
    this.#forEach((peer) => peer.changeCodec(publication) || this.#subscribe(peer, publication));
  }

  described(member: Member): void {
    this.tellAll({ type: 'peer-updated', ...member.description });
    this.#links.described(member);
  }

  *others(peer: Peer): Iterable<Peer> {
    for (const other of this.#peers.values()) if (other !== peer) yield other;
  }

  *ports(member: Member): Iterable<DataPort> {
    for (const other of this.#peers.values()) if (other !== member) yield other.data;
    yield* this.#links.ports(member);
  }

  relay(from: Peer, frame: ClientFrameOf<'data'>): void {
    if (!from.ticket.permissions.data) throw new FrameError('forbidden', 'this credential may not send data');
    if (Buffer.byteLength(JSON.stringify(frame.data ?? null)) > DATA_MAX_BYTES)
      throw new FrameError('frame_too_large', `data takes at most ${DATA_MAX_BYTES} bytes`);
    const { to, data } = frame;
    if (to !== undefined && !this.#peers.has(to) && !this.#links.remotes.has(to))
      throw new FrameError('unknown_peer', 'there is no such peer in the room');
    const told: LinkFrameOf<'data'> = { type: 'data', from: from.id, ...(to === undefined ? {} : { to }), data };
    this.deliver(told);
    this.#links.data(from, told);
  }

  /** Hands a `data` frame to those here that it is for. */
  deliver(frame: LinkFrameOf<'data'>): void {
    if (frame.to !== undefined) this.#peers.get(frame.to)?.send(frame);
    else for (const peer of this.#peers.values()) if (peer.id !== frame.from) peer.send(frame);
  }

  refusalOf(identity: string): Pick<LinkFrameOf<'refuse'>, 'code' | 'message'> | null {
    if (this.#options.isBanned(identity)) return { code: 'forbidden', message: 'you were removed from this room' };
    const { maxParticipants } = this.#settings;
    if (this.population < maxParticipants) return null;
    return { code: 'room_full', message: `the room takes ${maxParticipants} participants` };
  }

  refused({ peerId, code, message }: LinkFrameOf<'refuse'>): void {
    const peer = this.#peers.get(peerId);
    if (!peer) return;
    peer.send({ type: 'error', code, message });
    this.leave(peer, code === 'room_full' ? 'room-closed' : 'kicked');
  }

  /** Removes a peer for good. @throws UserError when it is not in the room */
  kick(peerId: string, reason: string): Member {
    const peer = this.#peers.get(peerId);
    if (!peer) {
      const remote = this.#remote(peerId);
      remote.link.send({ type: 'kick', peerId, reason });
      return remote;
    }
    peer.send({ type: 'kicked', code: 'kicked', reason });
    this.leave(peer, 'kicked');
    return peer;
  }

  /** Mutes or unmutes what a peer sends. @returns how many tracks change. @throws UserError when it is not in the room */
  mute(peerId: string, muted: boolean, kind?: 'audio' | 'video'): number {
    const peer = this.#peers.get(peerId);
    if (peer) return peer.forceMute(muted, kind);
    const remote = this.#remote(peerId);
    remote.link.send({ type: 'mute', peerId, muted, ...(kind === undefined ? {} : { kind }) });
    return [...remote.publications].filter((one) => (!kind || one.kind === kind) && one.forcedMute !== muted).length;
  }

  /** Everyone is told to reconnect within `timeoutMs`. */
  drain(timeoutMs: number): void {
    this.tellAll({ type: 'server-draining', reason: 'the server is going down', timeoutMs });
    this.#links.drain(timeoutMs);
  }

  orphaned(reason: Extract<LeaveReason, 'room-closed' | 'draining'>): void {
    this.close(reason);
    this.#options.onEnd();
  }

  /** Ends the room for everyone. @returns how many were in it */
  close(reason: Extract<LeaveReason, 'room-closed' | 'draining'>): number {
    const peers = [...this.#peers.values()];
    for (const peer of peers) {
      if (reason === 'room-closed')
        peer.send({ type: 'room-closed', code: 'room_closed', reason: 'the room was closed' });
      this.leave(peer, reason);
    }
    this.#links.close(reason);
    return peers.length;
  }

  /** Sends a frame to everyone. */
  tellAll(frame: ServerFrame): void {
    for (const peer of this.#peers.values()) peer.send(frame);
  }

  /** Every peer's periodic work, a peer a step. A fault ends that peer only, one of the room itself the room. */
  *tick(withTransportFeedback: boolean): Generator<void> {
    try {
      this.#voices.tick(performance.now());
      this.#links.tick(performance.now());
    } catch (thrown) {
      this.#logger.error({ err: thrown }, 'room ended by a fault of ours');
      this.orphaned('draining');
    }
    for (const peer of this.#peers.values()) {
      try {
        peer.tick(performance.now(), withTransportFeedback);
      } catch (thrown) {
        this.#endByFault(peer, thrown);
      }
      yield;
    }
  }

  /** How the gateway lists the room. */
  describe(): SfuRoom {
    const participants = this.#members.map(({ participant, identity, node }) => ({ ...participant, identity, node }));
    return {
      room: this.id,
      participants,
      tracks: participants.reduce((sum, { tracks }) => sum + tracks.length, 0),
      createdAt: this.#lifetime.createdAt,
      lastActivity: this.#lifetime.lastActivity,
    };
  }

  #welcome(peer: Peer, outlet: Outlet, resumed: boolean): void {
    const others = this.#members.filter((other) => other !== peer).map((other) => other.participant);
    const { forceRelay } = this.#context.config;
    peer.attach(outlet);
    peer.send(welcomeFrame({ peer, room: this.id, settings: this.#settings, others, resumed, forceRelay }));
    peer.pushCredentials();
  }

  // Browsers keep tracks of one stream in step: camera and microphone belong together, a screen does not.
  #subscribe(peer: Peer, publication: Publication): void {
    const publisher = this.#publisherOf(publication);
    if (!publisher || !peer.wants(publisher)) return;
    const streamId = publication.source?.startsWith('screen') ? `${publication.peerId}-screen` : publication.peerId;
    peer.subscribe(publication, publication.peerId, streamId);
  }

  #listen(): RoomVoices {
    return new RoomVoices(this.#settings.maxSpeakers, {
      onSpeakers: (frame) => this.tellAll(frame),
      onHeard: (publication) => this.#forEach((peer) => peer.hearingChanged(publication)),
    });
  }

  #tellOthers(peer: Peer, frame: ServerFrame): void {
    for (const other of this.others(peer)) other.send(frame);
  }

  /** Everybody who is in it, at all SFUs that serve it. */
  get #members(): Member[] {
    return [...this.#peers.values(), ...this.#links.remotes.values()];
  }

  #publisherOf({ peerId }: Publication): Member | undefined {
    return this.#peers.get(peerId) ?? this.#links.remotes.get(peerId);
  }

  #remote(peerId: string): RemotePeer {
    const remote = this.#links.remotes.get(peerId);
    if (!remote) throw new UserError('PEER_NOT_FOUND', `there is no peer ${peerId} in the room`);
    return remote;
  }

  /** Does something about every peer; a fault ends that peer only. */
  #forEach(run: (peer: Peer) => unknown): void {
    for (const peer of this.#peers.values()) {
      try {
        run(peer);
      } catch (thrown) {
        this.#endByFault(peer, thrown);
      }
    }
  }

  #endByFault(peer: Peer, thrown: unknown): void {
    this.#logger.error({ err: thrown, peer: peer.id }, 'peer ended by a fault of ours');
    this.leave(peer, 'protocol-error');
  }
}

function updateOf({ id }: Member, publication: Publication): ServerFrame {
  const forced = publication.forcedMute ? { forced: true } : {};
  return { type: 'track-updated', peerId: id, ...publication.info, ...forced };
}
