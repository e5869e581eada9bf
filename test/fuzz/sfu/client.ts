import { once } from 'node:events';
import type { ServerFrame } from '@orama/protocol';
import type { WebSocket } from 'ws';
import type { Session } from './corpus.ts';
import type { Host, Media } from './host.ts';
import type { Judge, Outcome } from './judge.ts';
import { asRetransmission } from './mutate-media.ts';
import { answerTo, candidatesIn, ssrcsIn, transportOf, withTransport } from './sdp.ts';
import { Told } from './told.ts';

const RTP_HEADER_BYTES = 12;
/** How errors name a data channel. */
const CHANNEL = 'data channel "';
/** An SFU that says nothing for so long never will. */
const ANSWER_MS = 30_000;

/** What comes between the answers to two pings. */
interface Exchange {
  readonly before: string;
  isOn: boolean;
  readonly errors: string[];
  readonly answers: string[];
}

/** Each has a key of its own, because one may be banned. */
let joined = 0;

/** A client that joins soundly and sends what its session sent; all that it hears is judged. */
export class FuzzClient {
  readonly session: Session;
  readonly room: string;
  peerId = '';
  resumeToken = '';
  /** Ids of the tracks that it sends, by the name of their m-lines, and of those that it is sent. */
  readonly sends = new Map<string, string>();
  readonly receives = new Set<string>();
  readonly told = new Told();
  /** The SFU's addresses for its media: libdatachannel's, then the StunFront's. */
  addresses: { address: string; port: number }[] = [];
  /** Descriptions of the SFU. */
  heardOffer = '';
  answer = '';
  /** Leaves an offer of the SFU unanswered for once. */
  isSlow = false;
  /** Has taken back what it publishes. */
  isSilent = false;
  media: Media | undefined;
  readonly #socket: WebSocket;
  readonly #judge: Judge;
  readonly #rtp: Buffer[];
  readonly #sequences = new Map<number, number>();
  #cursor = 0;
  #laps = 0;
  #fences = 0;
  #closed: number | undefined;
  /** Its end has nothing to do with what it sends. */
  #dismissed = false;
  /** What is waited for: a frame, or the end of the socket. */
  #waiting: { until: (frame: ServerFrame) => boolean; done: () => void } | undefined;
  #exchange: Exchange | undefined;

  private constructor(socket: WebSocket, room: string, session: Session, judge: Judge) {
    this.#socket = socket;
    this.room = room;
    this.session = session;
    this.#judge = judge;
    this.#rtp = session.rtp.map((packet) => Buffer.from(packet, 'hex'));
    socket.on('message', (data) => this.#hear(String(data)));
    socket.on('close', (code) => {
      this.#closed = code;
      this.#waiting?.done();
    });
  }

  /** Joins, connects its media and offers what its session offered. Its socket is closed when it was turned away. */
  static async join(host: Host, room: string, session: Session, judge: Judge): Promise<FuzzClient> {
    const client = new FuzzClient(host.openSocket(room, `key-of-${++joined}`), room, session, judge);
    await once(client.#socket, 'open');
    client.#send({ type: 'join', name: 'fuzz' });
    await client.#until(({ type }) => type === 'welcome');
    if (!client.isOpen && !(await host.isReady())) return client;
    const media = await host.openMedia(client.peerId, client.offer.includes('m=application'), client.told);
    client.media = media;
    client.#send({ type: 'offer', sdp: client.offer });
    await client.#until(({ type }) => type === 'answer');
    if (client.#closed !== undefined) throw new Error(`a sound client is sent away with ${client.#closed}`);
    client.addresses = candidatesIn(client.answer);
    await media.connect(client.answer);
    return client;
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** What its session offered, for its own media. */
  get offer(): string {
    const [offer = ''] = this.session.offers;
    return this.media ? withTransport(offer, this.media.transport) : offer;
  }

  /** A sound answer to the SFU's newest offer. */
  get ownAnswer(): string {
    return this.media ? answerTo(this.heardOffer, this.media.transport) : '';
  }

  /** What the SFU calls its ICE credential for this client. */
  get serverIce(): { ufrag: string; password: string } {
    return transportOf(this.answer);
  }

  /** SSRCs that it sends with. */
  get ownSsrcs(): number[] {
    return [...this.#sequences.keys()];
  }

  /** The next packet of its session, counted on; undefined when it sends none. Sometimes as a retransmission. */
  nextPacket(rtxPayloadType?: number): Buffer | undefined {
    if (this.#rtp.length === 0) return undefined;
    if (this.#cursor === this.#rtp.length) {
      this.#cursor = 0;
      this.#laps++;
    }
    const packet = Buffer.from(this.#rtp[this.#cursor++] as Buffer);
    if (packet.length < RTP_HEADER_BYTES) return packet;
    const ssrc = packet.readUInt32BE(8);
    const sequence = ((this.#sequences.get(ssrc) ?? packet.readUInt16BE(2)) + 1) & 0xffff;
    this.#sequences.set(ssrc, sequence);
    packet.writeUInt16BE(sequence, 2);
    packet.writeUInt32BE((packet.readUInt32BE(4) + this.#laps * 90_000) >>> 0, 4);
    return rtxPayloadType === undefined ? packet : asRetransmission(packet, rtxPayloadType, ssrc, sequence);
  }

  /** Sends a frame and judges what comes back: an error or none, an answer, the end. */
  async exchange(sent: string | Buffer): Promise<Outcome> {
    const before = `fence ${++this.#fences}`;
    const after = `fence ${++this.#fences}`;
    const exchange: Exchange = { before, isOn: false, errors: [], answers: [] };
    this.#exchange = exchange;
    this.#send({ type: 'ping', id: before });
    this.#socket.send(sent);
    this.#send({ type: 'ping', id: after });
    await this.#until((frame) => frame.type === 'pong' && frame.id === after);
    const outcome = { ...exchange, closed: this.#closed };
    if (!this.#dismissed) this.#judge.outcome(sent, outcome);
    return outcome;
  }

  /** Sends what is not answered one by one. */
  post(text: string | Buffer): void {
    this.#socket.send(text);
  }

  /** A packet of a stream that it was not told of, though everything that was said is heard. */
  async strangerHeard(): Promise<string | undefined> {
    if (this.isOpen) await this.exchange('{"type":"pong"}');
    const { stranger } = this.told;
    return this.isOpen && stranger ? `RTP of a stream that nobody was told of: ${stranger.toString('hex')}` : undefined;
  }

  /** Waits for the first offer of the SFU. */
  async heard(): Promise<void> {
    if (this.heardOffer === '') await this.#until(({ type }) => type === 'offer');
  }

  /** Waits for the end of the socket. */
  async ended(): Promise<void> {
    await this.#until(() => false);
  }

  /** Leaves as a closed page does, or as a lost network. */
  async end(isLost: boolean): Promise<void> {
    this.media?.close();
    if (isLost) this.#socket.terminate();
    else if (this.isOpen) this.#socket.close(1000);
    await this.ended();
  }

  #send(frame: object): void {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Rejects when the SFU says nothing any more. */
  async #until(until: (frame: ServerFrame) => boolean): Promise<void> {
    if (!this.isOpen) return;
    const done = Promise.withResolvers<void>();
    const late = setTimeout(() => done.reject(new Error('the SFU does not answer any more')), ANSWER_MS);
    this.#waiting = { until, done: done.resolve };
    try {
      await done.promise;
    } finally {
      clearTimeout(late);
      this.#waiting = undefined;
    }
  }

  #hear(text: string): void {
    const frame = this.#judge.frame(text);
    if (frame === undefined) return;
    this.#learn(frame);
    if (this.#waiting?.until(frame)) {
      const { done } = this.#waiting;
      this.#waiting = undefined;
      this.#exchange = undefined;
      done();
    }
  }

  #learn(frame: ServerFrame): void {
    switch (frame.type) {
      case 'welcome':
        this.peerId = frame.peerId;
        this.resumeToken = frame.resumeToken;
        break;
      case 'answer':
        this.answer = frame.sdp;
        if (this.#exchange?.isOn) this.#exchange.answers.push(frame.sdp);
        break;
      case 'offer':
        this.#answerOffer(frame.sdp);
        break;
      case 'track-added':
        if (frame.peerId === this.peerId) this.sends.set(frame.mid, frame.trackId);
        else this.receives.add(frame.trackId);
        break;
      case 'kicked':
        this.#dismissed = true;
        break;
      case 'error':
        // What is told of a data channel comes when it comes, and answers no frame.
        if (frame.message.includes(CHANNEL)) break;
        if (this.#exchange?.isOn || frame.code === 'rate_limited') this.#exchange?.errors.push(frame.code);
        break;
      case 'pong':
        if (this.#exchange && this.#exchange.before === frame.id) this.#exchange.isOn = true;
        break;
    }
  }

  #answerOffer(sdp: string): void {
    this.told.announce(ssrcsIn(sdp));
    this.heardOffer = sdp;
    if (!this.isSlow && this.media) this.#send({ type: 'answer', sdp: this.ownAnswer });
    this.isSlow = false;
  }
}
