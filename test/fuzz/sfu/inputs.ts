import { createSocket } from 'node:dgram';
import type { Random } from '../../support/random.ts';
import { mutateBytesOnce } from '../mutate-bytes.ts';
import { makeBinding } from './binding.ts';
import type { FuzzClient } from './client.ts';
import type { Session } from './corpus.ts';
import type { Host, Mode } from './host.ts';
import type { Judge } from './judge.ts';
import { type InputKind, SHARES } from './kinds.ts';
import { makeRtcp } from './make-rtcp.ts';
import { mutateRtcp, mutateRtp } from './mutate-media.ts';
import { mutateCharacters, mutateObject, mutateSdp, mutateWords } from './mutate-text.ts';
import type { Reach } from './reach.ts';
import { NO_TRANSPORT } from './sdp.ts';
import { callSigned, ticketOf } from './server.ts';

/** More than any bucket of frames holds. */
const FLOOD = 70;
/** The SFU offers again after so long. */
const OFFER_GAP_MS = 250;
/** So much time after a frame that its client may send the next. */
const FRAME_GAP_MS = 200;
const MESSAGE_BYTES = [0, 1, 1, 20, 20, 200, 1_200, 1_200, 16_000, 65_536, 65_537, 70_000];
const PROTOCOLS = ['', '', 'ordered=false', 'ordered=false&maxRetransmits=0', 'maxPacketLifeTime=100', 'to=', 'x=1'];
/** Those of retransmissions in the corpus, and others. */
const RTX_PAYLOAD_TYPES = [97, 99, 101, 107, 120, 36, 127];

/** A session of WHIP or WHEP: what names it, and its ICE session. */
interface Opened {
  readonly body: { room: string; identity: string; session: string };
  readonly etag: string;
}

/** Makes inputs and sends them for the clients of a round. */
export class Inputs {
  readonly #host: Host;
  readonly #judge: Judge;
  readonly #reach: Reach;
  readonly #clients: readonly FuzzClient[];
  readonly #random: Random;
  readonly #rtp: Buffer[];
  readonly #rtcp: Buffer[];
  readonly #sdp: string[];
  readonly #candidates: string[];
  readonly #udp = createSocket('udp4');
  readonly #kinds: InputKind[];
  readonly #opened: Opened[] = [];

  constructor(
    mode: Mode,
    host: Host,
    judge: Judge,
    reach: Reach,
    sessions: readonly Session[],
    clients: readonly FuzzClient[],
    random: Random,
  ) {
    this.#kinds = Object.entries(SHARES[mode]).flatMap(([kind, share]) =>
      new Array<InputKind>(share).fill(kind as InputKind),
    );
    this.#host = host;
    this.#judge = judge;
    this.#reach = reach;
    this.#clients = clients;
    this.#random = random;
    const bytes = (hex: readonly string[]) => hex.map((each) => Buffer.from(each, 'hex'));
    this.#rtp = sessions.flatMap(({ rtp }) => bytes(rtp));
    this.#rtcp = sessions.flatMap(({ rtcp }) => bytes(rtcp));
    this.#sdp = sessions.flatMap(({ offers, answers }) => [...offers, ...answers]);
    this.#candidates = sessions.flatMap(({ candidates }) => candidates);
    this.#udp.on('error', () => undefined);
    // Nothing but an answer comes back.
    this.#udp.on('message', () => reach.countTaken('datagrams'));
  }

  /** Sessions of WHIP and WHEP that were opened. */
  get sessionCount(): number {
    return this.#opened.length;
  }

  next(): InputKind {
    return this.#random.pick(this.#kinds);
  }

  /** Sends one input; resolves when it has been handled, as far as that can be seen. @returns what it was */
  async send(kind: InputKind): Promise<string> {
    const client = this.#random.pick(this.#clients);
    this.#reach.countSent(kind);
    switch (kind) {
      case 'rtp': {
        const senders = this.#clients.filter(({ session }) => session.rtp.length > 0);
        const sender = senders.length > 0 && this.#random.chance(95) ? this.#random.pick(senders) : client;
        return this.#packet(sender, this.#rtpOf(sender));
      }
      case 'rtcp':
        return this.#packet(client, this.#rtcpOf(client));
      case 'messages':
        return this.#message(client);
      case 'frames':
        return this.#exchange(kind, client, this.#frame(client));
      case 'offers': {
        const sdp = this.#random.chance(90)
          ? mutateSdp(client.offer, this.#sdp, this.#random)
          : this.#random.pick(this.#sdp);
        return this.#exchange(kind, client, JSON.stringify({ type: 'offer', sdp }));
      }
      case 'answers': {
        await this.#provokeOffer(client);
        const sdp = this.#random.chance(80) ? mutateSdp(client.ownAnswer, this.#sdp, this.#random) : client.ownAnswer;
        return this.#exchange(kind, client, JSON.stringify({ type: 'answer', sdp }));
      }
      case 'candidates': {
        const candidate = mutateWords(this.#random.pick(this.#candidates), this.#random);
        return this.#exchange(kind, client, JSON.stringify({ type: 'ice-candidate', candidate, sdpMid: '0' }));
      }
      case 'datagrams':
        return this.#datagram(client);
      default:
        return this.#http(client);
    }
  }

  /** Ends the sessions of WHIP and WHEP, some of which have ended by themselves. */
  async endSessions(): Promise<void> {
    for (const { body } of this.#opened) await this.#call('/sessions/close', JSON.stringify(body));
    this.#udp.close();
  }

  /** Another client begins or ends a track, so that the SFU offers anew; the client leaves that offer unanswered. */
  async #provokeOffer(client: FuzzClient): Promise<void> {
    const others = this.#clients.filter((other) => other !== client && other.isOpen && other.session.rtp.length > 0);
    const other = this.#random.pick(others);
    if (other === undefined || !client.isOpen) return;
    client.isSlow = true;
    const changed = other.offer.replace(/a=(?:sendrecv|sendonly)/, (way) => (other.isSilent ? way : 'a=inactive'));
    other.isSilent = !other.isSilent;
    await other.exchange(JSON.stringify({ type: 'offer', sdp: changed }));
    this.#host.advance(OFFER_GAP_MS);
    await client.exchange('{"type":"pong"}');
  }

  #rtpOf(client: FuzzClient): Buffer {
    const random = this.#random;
    const packet = client.nextPacket(random.chance(10) ? random.pick(RTX_PAYLOAD_TYPES) : undefined);
    if (packet === undefined) return mutateRtp(random.pick(this.#rtp), this.#rtp, random);
    return random.chance(60) ? mutateRtp(packet, this.#rtp, random) : packet;
  }

  #rtcpOf(client: FuzzClient): Buffer {
    const random = this.#random;
    const datagram = makeRtcp(this.#rtcp, client.told, client.ownSsrcs, random);
    return random.chance(50) ? mutateRtcp(datagram, this.#rtcp, random) : datagram;
  }

  #packet(client: FuzzClient, packet: Buffer): string {
    client.media?.send(packet);
    return packet.toString('hex');
  }

  #message(client: FuzzClient): string {
    const random = this.#random;
    if (random.chance(15)) {
      const label = random.chance(80) ? 'talk' : mutateCharacters('talk'.repeat(random.pick([1, 40])), random);
      const to = random.chance(30) ? `to=${random.pick(this.#clients).peerId}` : random.pick(PROTOCOLS);
      const protocol = random.chance(70) ? to : mutateWords(to, random);
      client.media?.openChannel(label, protocol);
      return `a channel ${JSON.stringify({ label, protocol })}`;
    }
    const bytes = random.pick(MESSAGE_BYTES);
    const message = random.chance(50) ? Buffer.alloc(bytes, random.below(256)) : 'm'.repeat(bytes);
    if (client.media?.sendMessage(message, random.below(100)) === false) client.media.openChannel('talk', '');
    return `a message of ${bytes} bytes`;
  }

  async #exchange(kind: InputKind, client: FuzzClient, sent: string | Buffer): Promise<string> {
    if (!client.isOpen) return 'nothing';
    const { errors } = await client.exchange(sent);
    if (errors.length === 0) this.#reach.countTaken(kind);
    this.#host.advance(FRAME_GAP_MS);
    return typeof sent === 'string' ? sent.slice(0, 100_000) : `binary ${sent.toString('hex')}`;
  }

  #frame(client: FuzzClient): string | Buffer {
    const random = this.#random;
    if (random.chance(2)) for (let n = 0; n < FLOOD; n++) client.post('{"type":"pong"}');
    if (random.chance(2))
      return JSON.stringify({ type: 'data', data: 'd'.repeat(random.pick([17_000, 66_000, 270_000])) });
    const frame = this.#soundFrame(client);
    const text = JSON.stringify(random.chance(70) ? mutateObject(frame, random) : frame);
    if (random.chance(3)) return Buffer.from(text);
    return random.chance(20) ? mutateCharacters(text, random) : text;
  }

  #soundFrame(client: FuzzClient): object {
    const random = this.#random;
    const trackId = random.pick([...client.receives, ...client.sends.values()]) ?? 'none';
    const mid = random.pick([...client.sends.keys()]) ?? '0';
    const number = () => random.pick([0, 1, 2, 200, 100_000]);
    const layer = (rid: string) => ({ rid, width: 1 + number(), height: 1 + number(), maxBitrate: number() });
    return random.pick<object>([
      { type: 'join', room: client.room, name: 'fuzz', metadata: { a: 1 }, resume: client.resumeToken },
      { type: 'offer', sdp: client.offer, tracks: [{ mid, source: 'camera', muted: true }] },
      { type: 'answer', sdp: client.ownAnswer },
      { type: 'ice-candidate', candidate: random.pick(this.#candidates), sdpMid: mid, usernameFragment: 'fuzz' },
      { type: 'track-state', trackId, muted: random.chance(50) },
      { type: 'subscribe', trackId, enabled: random.chance(80), maxLayer: random.below(4), maxWidth: 1 + number() },
      { type: 'subscribe', trackId, enabled: true, maxFps: 15, priority: random.below(256) },
      { type: 'track-layers', mid, layers: ['q', 'h', 'f'].slice(random.below(3)).map(layer) },
      { type: 'peer-state', name: 'other', metadata: { deep: { er: [1, 2] } } },
      {
        type: 'data',
        data: { hello: 'room' },
        ...(random.chance(50) ? { to: random.pick(this.#clients).peerId } : {}),
      },
      { type: random.chance(90) ? 'pong' : 'leave', id: number() },
    ]);
  }

  /** STUN, DTLS or anything else, to the media port of libdatachannel or of the StunFront. */
  #datagram(client: FuzzClient): string {
    const random = this.#random;
    const to = random.pick(client.addresses);
    if (to === undefined) return 'nothing';
    let datagram = random.chance(75)
      ? makeBinding(client.serverIce, client.media?.transport ?? NO_TRANSPORT, random)
      : Buffer.concat([Buffer.of(random.pick([20, 21, 22, 23, 24, 63, 128, 200])), random.pick(this.#rtp)]);
    if (random.chance(60)) datagram = mutateBytesOnce(Buffer.from(datagram), this.#rtp, random);
    this.#udp.send(datagram, to.port, to.address);
    return `a datagram ${datagram.toString('hex')}`;
  }

  async #http(client: FuzzClient): Promise<string> {
    const random = this.#random;
    const session = random.pick(this.#opened);
    const sessionBody = session?.body ?? { room: client.room, identity: 'nobody', session: 'none' };
    const sound = random.pick<[path: string, body: object]>([
      ['/sessions/open', this.#openBody(client)],
      ['/sessions/open', this.#openBody(client)],
      ['/sessions/ice', { ...sessionBody, ...this.#fragment(session?.etag) }],
      ['/sessions/close', sessionBody],
      ['/rooms/mute', { room: client.room, peerId: client.peerId, muted: random.chance(50) }],
      ['/rooms/kick', { room: client.room, peerId: client.peerId, reason: 'fuzz', banSec: 0 }],
    ]);
    const [path, body] = sound;
    const text = JSON.stringify(random.chance(50) ? mutateObject(body, random) : body);
    const calledPath = random.chance(95) ? path : mutateCharacters(path, random).replace(/[^!-~]/g, '');
    const calledBody = random.chance(10) ? mutateCharacters(text, random) : text;
    if ((await this.#call(calledPath, calledBody)) === 200) this.#reach.countTaken('http');
    return `POST ${calledPath} ${calledBody}`;
  }

  async #call(path: string, body: string): Promise<number> {
    const target = path.startsWith('/') ? path : `/${path}`;
    const { status, text } = await callSigned(this.#host.address, 'POST', target, body, this.#host.nowMs());
    this.#judge.http(status, text);
    // Known by what it answers: a mutated path may still lead there, with a query for example.
    const { session, etag } = (status === 200 ? JSON.parse(text || '{}') : {}) as Partial<{
      session: string;
      etag: string;
    }>;
    if (session !== undefined && etag !== undefined) {
      const { room, identity } = (JSON.parse(body) as { ticket: { room: string; identity: string } }).ticket;
      this.#opened.push({ body: { room, identity, session }, etag });
    }
    return status;
  }

  #openBody({ room, session }: FuzzClient): object {
    const random = this.#random;
    const publish = random.chance(50);
    const ticket = ticketOf({ room, permissions: { publish, subscribe: !publish, data: false, admin: false } });
    const listening = (session.offers[0] ?? '').replaceAll(publish ? 'a=none' : 'a=sendonly', 'a=recvonly');
    return { ticket, offer: random.chance(60) ? listening : mutateSdp(listening, this.#sdp, random) };
  }

  #fragment(etag: string | undefined): object {
    const random = this.#random;
    const lines = ['a=ice-ufrag:abcd', 'a=ice-pwd:0123456789abcdefghijklmn', `a=${random.pick(this.#candidates)}`];
    const fragment = lines.slice(random.pick([0, 0, 2])).join('\r\n');
    return {
      fragment: random.chance(50) ? fragment : mutateSdp(fragment, this.#sdp, random),
      ifMatch: random.pick(['*', etag ?? '"1"', '"7"']),
    };
  }
}
