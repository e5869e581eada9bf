import { equalsConstantTime, type Logger, UserError } from '@orama/core';
import {
  CHANNEL_MESSAGE_MAX_BYTES,
  type ClientFrameOf,
  DATA_MAX_BYTES,
  EMPTY_ROOM_MS,
  MAX_CHANNELS_PER_PEER,
  MAX_TRACKS_PER_PEER,
  type ServerFrame,
  type SfuRoom,
  type SfuTicket,
  SIGNALLING_CLOSE,
  SIGNALLING_DESCRIPTION_MAX_BYTES,
  SIGNALLING_FRAME_MAX_BYTES,
} from '@orama/protocol';
import type { Publication } from '../media/publication.ts';
import type { Codec } from '../rtc/codecs.ts';
import { FrameError, type Outlet } from '../signalling/outlet.ts';
import type { SfuContext } from './context.ts';
import { type LeaveReason, Peer, type PeerHost, type Playback } from './peer.ts';
import { RoomVoices } from './room-voices.ts';

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
  outlet: Outlet;
  /** Of a session without signalling; see PeerOptions. */
  playback?: Playback | undefined;
}

/** Peers that see and hear each other. */
export class Room implements PeerHost {
  readonly id: string;
  readonly #context: SfuContext;
  readonly #logger: Logger;
  readonly #peers = new Map<string, Peer>();
  readonly #createdAtMs: number;
  #lastActivityMs: number;
  #settings: RoomSettings;
  #voices: RoomVoices;

  constructor(id: string, settings: RoomSettings, context: SfuContext) {
    this.id = id;
    this.#context = context;
    this.#logger = context.logger.child({ room: id });
    this.#settings = settings;
    this.#voices = this.#listen();
    this.#createdAtMs = this.#lastActivityMs = context.clock.now();
  }

  get peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  get size(): number {
    return this.#peers.size;
  }

  /** Whether nobody is in it, and nobody was for a while. */
  isExpired(nowMs: number): boolean {
    return this.#peers.size === 0 && nowMs - this.#lastActivityMs >= EMPTY_ROOM_MS;
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
    if (this.#peers.size === 0) this.#voices = this.#listen();
    const { maxParticipants } = this.#settings;
    if (this.#peers.size >= maxParticipants)
      throw new FrameError('room_full', `the room takes ${maxParticipants} participants`, {
        closeCode: SIGNALLING_CLOSE.noSuchRoom,
      });
    const releasePort = this.#context.ports.take();
    if (!releasePort)
      throw new FrameError('capacity', 'this server has no media port left', { closeCode: SIGNALLING_CLOSE.moved });
    const peer = new Peer({
      ticket: request.ticket,
      name: request.name,
      metadata: request.metadata,
      host: this,
      context: this.#context,
      logger: this.#logger,
      playback: request.playback,
      releasePort,
    });
    this.#peers.set(peer.id, peer);
    this.#touch();
    this.#logger.info({ peer: peer.id }, 'peer joined');
    this.#welcome(peer, request.outlet, false);
    this.#tellOthers(peer, { type: 'peer-joined', ...peer.description });
    for (const other of this.others(peer)) {
      for (const publication of other.publications) this.#subscribe(peer, publication);
      other.data.greet(peer.data);
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
  }

  /** Takes a peer out and tells the others why. */
  leave(peer: Peer, reason: LeaveReason): void {
    if (!this.#peers.delete(peer.id)) return;
    this.#touch();
    this.#logger.info({ peer: peer.id, reason }, 'peer left');
    if (reason === 'media-failed')
      peer.send({ type: 'error', code: 'media_failed', message: 'the media connection is gone; join again' });
    const publications = [...peer.publications];
    for (const publication of publications) this.#voices.remove(publication);
    for (const other of this.#peers.values()) {
      for (const publication of publications) other.unsubscribe(publication);
      other.send({ type: 'peer-left', peerId: peer.id, reason });
    }
    peer.close(LEAVE_CLOSE[reason], reason);
  }

  published(peer: Peer, publication: Publication): void {
    this.#touch();
    this.#voices.add(publication);
    for (const other of this.#peers.values()) if (other !== peer) this.#subscribe(other, publication);
  }

  unpublished(peer: Peer, publication: Publication): void {
    this.#touch();
    this.#voices.remove(publication);
    for (const other of this.#peers.values()) if (other !== peer) other.unsubscribe(publication);
  }

  updated(peer: Peer, publication: Publication): void {
    const forced = publication.forcedMute ? { forced: true } : {};
    const frame: ServerFrame = { type: 'track-updated', peerId: peer.id, ...publication.info, ...forced };
    this.tellAll(frame);
  }

  notDecoded(publication: Publication): void {
    this.#peers.get(publication.peerId)?.offerCodecs();
  }

  isDecodable(publisher: Peer, codec: Codec): boolean {
    for (const peer of this.others(publisher)) if (!peer.decodes(codec)) return false;
    return true;
  }

  codecChanged(publication: Publication): void {
    for (const peer of this.#peers.values()) if (!peer.changeCodec(publication)) this.#subscribe(peer, publication);
  }

  described(peer: Peer): void {
    this.tellAll({ type: 'peer-updated', ...peer.description });
  }

  *others(peer: Peer): Iterable<Peer> {
    for (const other of this.#peers.values()) if (other !== peer) yield other;
  }

  relay(from: Peer, frame: ClientFrameOf<'data'>): void {
    if (!from.ticket.permissions.data) throw new FrameError('forbidden', 'this credential may not send data');
    if (Buffer.byteLength(JSON.stringify(frame.data ?? null)) > DATA_MAX_BYTES)
      throw new FrameError('frame_too_large', `data takes at most ${DATA_MAX_BYTES} bytes`);
    if (frame.to === undefined) {
      this.#tellOthers(from, { type: 'data', from: from.id, data: frame.data });
      return;
    }
    const to = this.#peers.get(frame.to);
    if (!to) throw new FrameError('unknown_peer', 'there is no such peer in the room');
    to.send({ type: 'data', from: from.id, to: to.id, data: frame.data });
  }

  /** Removes a peer for good. @throws UserError when it is not here */
  kick(peerId: string, reason: string): Peer {
    const peer = this.#peers.get(peerId);
    if (!peer) throw new UserError('PEER_NOT_FOUND', `there is no peer ${peerId} in the room`);
    peer.send({ type: 'kicked', code: 'kicked', reason });
    this.leave(peer, 'kicked');
    return peer;
  }

  /** Ends the room for everyone. @returns how many were in it */
  close(reason: Extract<LeaveReason, 'room-closed' | 'draining'>): number {
    const peers = [...this.#peers.values()];
    for (const peer of peers) {
      if (reason === 'room-closed')
        peer.send({ type: 'room-closed', code: 'room_closed', reason: 'the room was closed' });
      this.leave(peer, reason);
    }
    return peers.length;
  }

  /** Sends a frame to everyone. */
  tellAll(frame: ServerFrame): void {
    for (const peer of this.#peers.values()) peer.send(frame);
  }

  /** Every peer's periodic work; a fault ends that peer only. */
  tick(nowMs: number, withTransportFeedback: boolean): void {
    this.#voices.tick(nowMs);
    for (const peer of this.#peers.values()) {
      try {
        peer.tick(nowMs, withTransportFeedback);
      } catch (thrown) {
        this.#logger.error({ err: thrown, peer: peer.id }, 'peer ended by a fault of ours');
        this.leave(peer, 'protocol-error');
      }
    }
  }

  /** How the gateway lists the room. */
  describe(): SfuRoom {
    const participants = [...this.#peers.values()].map((peer) => ({
      ...peer.participant,
      identity: peer.ticket.identity,
    }));
    return {
      room: this.id,
      participants,
      tracks: participants.reduce((sum, { tracks }) => sum + tracks.length, 0),
      createdAt: new Date(this.#createdAtMs).toISOString(),
      lastActivity: new Date(this.#lastActivityMs).toISOString(),
    };
  }

  #welcome(peer: Peer, outlet: Outlet, resumed: boolean): void {
    const { publish, subscribe, data } = peer.ticket.permissions;
    peer.attach(outlet);
    peer.send({
      type: 'welcome',
      peerId: peer.id,
      room: this.id,
      participants: [...this.#peers.values()].filter((other) => other !== peer).map((other) => other.participant),
      resumeToken: peer.resumeToken,
      resumed,
      ...(this.#settings.roomMetadata === undefined ? {} : { roomMetadata: this.#settings.roomMetadata }),
      permissions: { publish, subscribe, data },
      limits: {
        maxParticipants: this.#settings.maxParticipants,
        maxTracks: MAX_TRACKS_PER_PEER,
        frameBytes: SIGNALLING_FRAME_MAX_BYTES,
        descriptionBytes: SIGNALLING_DESCRIPTION_MAX_BYTES,
        maxChannels: MAX_CHANNELS_PER_PEER,
        channelMessageBytes: CHANNEL_MESSAGE_MAX_BYTES,
      },
      forceRelay: this.#context.config.forceRelay,
    });
    peer.pushCredentials();
  }

  // Browsers keep tracks of one stream in step: camera and microphone belong together, a screen does not.
  #subscribe(peer: Peer, publication: Publication): void {
    const publisher = this.#peers.get(publication.peerId);
    if (!publisher || !peer.wants(publisher)) return;
    const streamId = publication.source?.startsWith('screen') ? `${publication.peerId}-screen` : publication.peerId;
    peer.subscribe(publication, publication.peerId, streamId);
  }

  #listen(): RoomVoices {
    return new RoomVoices(this.#settings.maxSpeakers, {
      onSpeakers: (frame) => this.tellAll(frame),
      onHeard: (publication) => {
        for (const peer of this.#peers.values()) peer.hearingChanged(publication);
      },
    });
  }

  #tellOthers(peer: Peer, frame: ServerFrame): void {
    for (const other of this.others(peer)) other.send(frame);
  }

  #touch(): void {
    this.#lastActivityMs = this.#context.clock.now();
  }
}
