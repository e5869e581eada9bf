import { type Logger, OramaError, type Timer } from '@orama/core';
import { type LinkFrameOf, type RoomHome, type SfuTicket, SIGNALLING_CLOSE } from '@orama/protocol';
import type { DataPort } from '../data/data-port.ts';
import type { Publication } from '../media/publication.ts';
import type { SfuContext } from '../room/context.ts';
import type { Member } from '../room/member.ts';
import type { Peer } from '../room/peer.ts';
import type { LeaveReason } from '../room/peer-host.ts';
import type { RtcChannel } from '../rtc/channel.ts';
import { dialHome } from '../signalling/dial-home.ts';
import type { LinkSocket } from '../signalling/link-socket.ts';
import { RemotePeer } from './remote-peer.ts';
import { type RoomFrame, RoomLink } from './room-link.ts';

/** A link that has not told who is in the room by then will not. */
const SYNC_TIMEOUT_MS = 5_000;

/** The room, as its links see it. What they bring goes through it, and comes back for the other links. */
export interface LinksHost {
  joined(member: RemotePeer): void;
  left(member: RemotePeer, reason: LeaveReason): void;
  described(member: RemotePeer): void;
  published(member: RemotePeer, publication: Publication): void;
  unpublished(member: RemotePeer, publication: Publication): void;
  updated(member: RemotePeer, publication: Publication): void;
  codecChanged(publication: Publication): void;
  notDecoded(publication: Publication): void;
  /** Where channels of a member are copied to. */
  ports(member: RemotePeer): Iterable<DataPort>;
  deliver(frame: LinkFrameOf<'data'>): void;
  /** Why somebody may not be in the room; null who may. */
  refusalOf(identity: string): Pick<LinkFrameOf<'refuse'>, 'code' | 'message'> | null;
  /** The home does not let a peer of ours in. */
  refused(frame: LinkFrameOf<'refuse'>): void;
  /** A peer that is connected here. */
  peer(peerId: string): Peer | undefined;
  kick(peerId: string, reason: string): void;
  drain(timeoutMs: number): void;
  /** The home is gone, or has closed the room: so is this part of it. */
  orphaned(reason: Extract<LeaveReason, 'room-closed' | 'draining'>): void;
}

/**
 * The links of a room that several SFUs serve: a star, with the room's home in the middle. Others have one link, to it;
 * it passes on to each what comes from the rest, and nobody is told what it told itself.
 */
export class RoomLinks {
  readonly #host: LinksHost;
  readonly #context: SfuContext;
  readonly #logger: Logger;
  readonly #links = new Set<RoomLink>();
  readonly #remotes = new Map<string, RemotePeer>();
  #uplink: RoomLink | null = null;
  #synced: PromiseWithResolvers<void> | null = null;
  #syncTimer: Timer | null = null;

  constructor(host: LinksHost, context: SfuContext, logger: Logger) {
    this.#host = host;
    this.#context = context;
    this.#logger = logger;
  }

  get size(): number {
    return this.#links.size;
  }

  /** Peers of the room that are connected elsewhere. */
  get remotes(): ReadonlyMap<string, RemotePeer> {
    return this.#remotes;
  }

  /** Settles when everybody in the room is known here; null when that is so. Rejects when the home cannot be reached. */
  get ready(): Promise<void> | null {
    return this.#synced?.promise ?? null;
  }

  /** Opens the link to the room's home. @returns see `ready` */
  connect(home: RoomHome, ticket: SfuTicket): Promise<void> {
    const synced = Promise.withResolvers<void>();
    this.#synced = synced;
    // Nobody may be waiting when it fails.
    synced.promise.catch(() => {});
    const socket = dialHome(home, ticket, this.#context, this.#logger);
    const link = this.#open(socket, home.node);
    if (!link) {
      socket.close(SIGNALLING_CLOSE.normal, 'capacity');
      this.#orphan('draining');
      return synced.promise;
    }
    this.#uplink = link;
    this.#syncTimer = this.#context.clock.after(SYNC_TIMEOUT_MS, () => link.close(SIGNALLING_CLOSE.moved, 'timeout'));
    socket.onOpen = () => {
      link.connect();
      link.send({ type: 'synced' });
    };
    return synced.promise;
  }

  /** Takes the link of another SFU, and tells it everything. @param members everybody who is in the room */
  accept(socket: LinkSocket, node: string, members: Iterable<Member>): void {
    const link = this.#open(socket, node);
    if (!link) {
      socket.close(SIGNALLING_CLOSE.moved, 'capacity');
      return;
    }
    for (const member of members) {
      link.tellOf(member);
      for (const publication of member.publications) link.relay(publication);
      member.data.greet(link.data);
    }
    link.send({ type: 'synced' });
  }

  joined(member: Member): void {
    for (const link of this.#from(member)) link.tellOf(member);
  }

  left(member: Member, reason: LeaveReason): void {
    for (const link of this.#from(member)) {
      for (const publication of member.publications) link.withdraw(publication);
      link.tellGone(member, reason);
    }
  }

  described(member: Member): void {
    for (const link of this.#from(member)) link.tellOf(member);
  }

  published(member: Member, publication: Publication): void {
    for (const link of this.#from(member)) link.relay(publication);
  }

  unpublished(member: Member, publication: Publication): void {
    for (const link of this.#from(member)) link.withdraw(publication);
  }

  updated(member: Member, publication: Publication): void {
    for (const link of this.#from(member)) link.update(publication);
  }

  /** Passes a `data` frame of a peer here on to those it is for elsewhere. */
  data(member: Member, frame: LinkFrameOf<'data'>): void {
    const to = frame.to === undefined ? undefined : this.#remotes.get(frame.to);
    for (const link of this.#from(member)) if (frame.to === undefined || to?.link === link) link.send(frame);
  }

  /** The links by which channels of a member reach peers elsewhere. */
  *ports(member: Member): Iterable<DataPort> {
    for (const link of this.#from(member)) yield link.data;
  }

  /** Somebody here does not decode a track from elsewhere. */
  notDecoded(publication: Publication): void {
    this.#remotes.get(publication.peerId)?.link.tellNotDecoded(publication);
  }

  /** Whether everybody elsewhere decodes a codec, as far as it was told. */
  decodes(codecKey: string): boolean {
    for (const link of this.#links) if (!link.decodes(codecKey)) return false;
    return true;
  }

  /** The home goes down: whoever is elsewhere should reconnect as well. */
  drain(timeoutMs: number): void {
    for (const link of this.#links) if (link !== this.#uplink) link.send({ type: 'draining', timeoutMs });
  }

  tick(nowMs: number): void {
    for (const link of [...this.#links]) {
      try {
        link.tick(nowMs);
      } catch (thrown) {
        this.#logger.error({ err: thrown, link: link.node }, 'link ended by a fault of ours');
        link.close(SIGNALLING_CLOSE.moved, 'fault');
      }
    }
  }

  /** Ends every link; nothing is told any more. */
  close(reason: Extract<LeaveReason, 'room-closed' | 'draining'>): void {
    this.#uplink = null;
    const code = reason === 'room-closed' ? SIGNALLING_CLOSE.noSuchRoom : SIGNALLING_CLOSE.moved;
    for (const link of [...this.#links]) link.close(code, reason);
    this.#settle(false);
  }

  #open(socket: LinkSocket, node: string): RoomLink | null {
    const releasePort = this.#context.ports.takeForLink();
    if (!releasePort) return null;
    const link = new RoomLink({
      ...{ socket, node, releasePort, context: this.#context, logger: this.#logger },
      events: {
        onFrame: (from, frame) => this.#receive(from, frame),
        onCodecChange: (publication) => this.#host.codecChanged(publication),
        onNotDecoded: (publication) => this.#host.notDecoded(publication),
        onChannel: (from, channel) => this.#acceptChannel(from, channel),
        reaches: (to, peerId) => this.#remoteOf(to, peerId) !== undefined,
        onEnd: (ended, code) => this.#end(ended, code),
      },
    });
    this.#links.add(link);
    this.#logger.info({ link: node }, 'link opened');
    return link;
  }

  /** The links that are told about `member`: all but the one it came by. */
  *#from(member: Member): Iterable<RoomLink> {
    const origin = member instanceof RemotePeer ? member.link : null;
    for (const link of this.#links) if (link !== origin) yield link;
  }

  #receive(link: RoomLink, frame: RoomFrame): void {
    switch (frame.type) {
      case 'peer':
        this.#learnPeer(link, frame);
        break;
      case 'peer-gone':
        this.#forget(this.#remoteOf(link, frame.peerId), frame.reason);
        break;
      case 'track':
        this.#learnTrack(link, frame);
        break;
      case 'track-gone':
        this.#dropTrack(link, frame.trackId);
        break;
      case 'synced':
        if (link === this.#uplink) this.#settle(true);
        break;
      case 'data':
        this.#passOn(link, frame);
        break;
      case 'refuse':
        this.#host.refused(frame);
        break;
      case 'kick':
        if (this.#host.peer(frame.peerId)) this.#host.kick(frame.peerId, frame.reason);
        break;
      case 'mute':
        this.#host.peer(frame.peerId)?.forceMute(frame.muted, frame.kind);
        break;
      case 'draining':
        this.#host.drain(frame.timeoutMs);
        break;
    }
  }

  #learnPeer(link: RoomLink, frame: LinkFrameOf<'peer'>): void {
    const known = this.#remotes.get(frame.peerId);
    if (known) {
      if (known.link !== link) return;
      known.describe(frame);
      this.#host.described(known);
      return;
    }
    const refusal = link === this.#uplink ? null : this.#host.refusalOf(frame.identity);
    if (refusal) {
      link.send({ type: 'refuse', peerId: frame.peerId, ...refusal });
      return;
    }
    const remote = new RemotePeer(link, frame, this.#context, (member) => this.#host.ports(member));
    this.#remotes.set(remote.id, remote);
    this.#host.joined(remote);
  }

  #learnTrack(link: RoomLink, frame: LinkFrameOf<'track'>): void {
    const remote = this.#remoteOf(link, frame.peerId);
    if (!remote) return;
    const known = remote.tracks.get(frame.trackId);
    if (known) {
      link.learn(known, frame);
      this.#host.updated(remote, known);
      return;
    }
    const publication = link.accept(frame);
    remote.tracks.set(frame.trackId, publication);
    this.#host.published(remote, publication);
    if (frame.forced) this.#host.updated(remote, publication);
  }

  #dropTrack(link: RoomLink, trackId: string): void {
    for (const remote of this.#remotes.values()) {
      const publication = remote.link === link ? remote.tracks.get(trackId) : undefined;
      if (!publication) continue;
      remote.tracks.delete(trackId);
      this.#host.unpublished(remote, publication);
      link.drop(publication);
    }
  }

  #acceptChannel(link: RoomLink, channel: RtcChannel): void {
    const opener = this.#remoteOf(link, new URLSearchParams(channel.protocol).get('from') ?? '');
    if (opener) opener.data.accept(channel);
    else channel.close();
  }

  #passOn(link: RoomLink, frame: LinkFrameOf<'data'>): void {
    const from = this.#remoteOf(link, frame.from);
    if (!from) return;
    this.#host.deliver(frame);
    this.data(from, frame);
  }

  #forget(remote: RemotePeer | undefined, reason: LeaveReason): void {
    if (!remote) return;
    this.#remotes.delete(remote.id);
    this.#host.left(remote, reason);
    remote.data.close();
    for (const publication of remote.publications) remote.link.drop(publication);
  }

  #remoteOf(link: RoomLink, peerId: string): RemotePeer | undefined {
    const remote = this.#remotes.get(peerId);
    return remote?.link === link ? remote : undefined;
  }

  #end(link: RoomLink, code: number): void {
    this.#links.delete(link);
    if (link === this.#uplink) this.#orphan(code === SIGNALLING_CLOSE.noSuchRoom ? 'room-closed' : 'draining');
    for (const remote of [...this.#remotes.values()]) if (remote.link === link) this.#forget(remote, 'timeout');
  }

  #orphan(reason: Extract<LeaveReason, 'room-closed' | 'draining'>): void {
    this.#uplink = null;
    this.#settle(false);
    this.#host.orphaned(reason);
  }

  #settle(isSynced: boolean): void {
    const synced = this.#synced;
    this.#synced = null;
    this.#syncTimer?.cancel();
    if (isSynced) synced?.resolve();
    else synced?.reject(new OramaError('SFU_UNAVAILABLE', 'the SFU that holds the room cannot be reached'));
  }
}
