import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { openSocket, type Transport, type WireSocket } from './socket.ts';
import {
  ATTR,
  type Attribute,
  channelData,
  type Endpoint,
  longTermKey,
  message,
  peerAddress,
  Received,
  type Sealing,
  TYPE,
  text,
  UDP,
} from './stun.ts';

export interface Credentials {
  username: string;
  password: string;
}

/** What came from a peer through the relay. */
export interface RelayedData {
  data: Buffer;
  /** On which channel, or by Data indication from which peer. */
  channel?: number;
  peer?: Endpoint;
  /** Transaction id of the Data indication. */
  id?: string;
}

/** Why data to a peer did not arrive, as a Data indication tells it. */
export interface PeerError {
  peer: Endpoint;
  /** Value of ICMP. */
  icmp: Buffer;
  indication: Received;
}

export interface ClientOptions {
  transport: Transport;
  server: Endpoint;
  localAddress: string;
  credentials: Credentials;
  /** How long an answer may take before there is none. */
  patienceMs: number;
}

/** A client that says exactly what it is told to, and tells exactly what came back. */
export class Client {
  readonly socket: WireSocket;
  readonly transport: Transport;
  readonly #options: ClientOptions;
  readonly #replies = new Map<string, Received>();
  readonly #replyWaiters = new Map<string, () => void>();
  readonly #data: RelayedData[] = [];
  readonly #errors: PeerError[] = [];
  /** Whoever waits, by inbox. */
  readonly #waiters = new Map<unknown, () => void>();
  /** Why a packet could not be understood, if one could not. */
  #broken: string | undefined;
  /** Every response and every piece of data that ever came. */
  received = 0;
  realm = '';
  nonce: Buffer = Buffer.alloc(0);

  private constructor(options: ClientOptions, socket: WireSocket) {
    this.#options = options;
    this.transport = options.transport;
    this.socket = socket;
  }

  static async open(options: ClientOptions): Promise<Client> {
    const inbox: { packet?: (packet: Buffer) => void } = {};
    const socket = await openSocket(options.transport, options.server, options.localAddress, (packet) =>
      inbox.packet?.(packet),
    );
    const client = new Client(options, socket);
    inbox.packet = (packet) => client.#onPacket(packet);
    return client;
  }

  get credentials(): Credentials {
    return this.#options.credentials;
  }

  /** The long-term key, once the realm is known. */
  get key(): Buffer {
    return longTermKey(this.credentials.username, this.realm, this.credentials.password);
  }

  /** Sends bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.socket.send(bytes);
  }

  /** Sends a finished request and waits for its response. Throws when none comes. */
  async ask(request: Buffer): Promise<Received> {
    this.raw(request);
    const id = request.toString('hex', 8, 20);
    const reply = await this.reply(id);
    if (reply === undefined) throw new Error('no answer');
    return reply;
  }

  /** The response to a transaction, or undefined when there is none in time. */
  async reply(id: string): Promise<Received | undefined> {
    if (!this.#replies.has(id)) {
      await this.#within(new Promise<void>((resolve) => this.#replyWaiters.set(id, resolve)));
      this.#replyWaiters.delete(id);
    }
    const reply = this.#replies.get(id);
    this.#replies.delete(id);
    return reply;
  }

  /** Sends bytes, then a Binding request, and throws when anything came back before that one's answer. */
  async expectSilence(...packets: Uint8Array[]): Promise<void> {
    const before = this.received;
    for (const packet of packets) this.raw(packet);
    await this.ask(message(TYPE.bindingRequest, []));
    if (this.received !== before + 1) throw new Error('it was answered');
  }

  /** Learns realm and nonce from the 401 to an Allocate without credentials. */
  async greet(): Promise<Received> {
    const challenge = await this.ask(message(TYPE.allocate, [UDP]));
    const [realm, nonce] = [challenge.value(ATTR.realm), challenge.value(ATTR.nonce)];
    if (challenge.code !== 401 || realm === undefined || nonce === undefined) throw new Error('no challenge');
    this.realm = realm.toString('utf8');
    this.nonce = nonce;
    return challenge;
  }

  /** A request with credentials, not sent. */
  sealed(type: number, attributes: readonly Attribute[], sealing: Sealing = {}, id?: Buffer): Buffer {
    const own = [
      text(ATTR.username, this.credentials.username),
      text(ATTR.realm, this.realm),
      [ATTR.nonce, this.nonce] as const,
    ];
    return message(type, [...attributes, ...own], { key: this.key, ...sealing }, id);
  }

  /** Sends a request with credentials. */
  async request(type: number, ...attributes: Attribute[]): Promise<Received> {
    if (this.realm === '') await this.greet();
    return this.ask(this.sealed(type, attributes));
  }

  /** Sends a request that names peers, IPv6 ones too. */
  async requestWithPeers(type: number, peers: readonly Endpoint[], ...attributes: Attribute[]): Promise<Received> {
    if (this.realm === '') await this.greet();
    const id = randomBytes(12);
    const named = peers.map((peer) => peerAddress(peer, id));
    return this.ask(this.sealed(type, [...attributes, ...named], {}, id));
  }

  /** Allocate for UDP; throws unless it succeeds. */
  async allocate(...attributes: Attribute[]): Promise<{ relayed: Endpoint; response: Received }> {
    const response = await this.request(TYPE.allocate, UDP, ...attributes);
    const [relayed] = response.addresses(ATTR.xorRelayedAddress);
    if (relayed === undefined) throw new Error(`Allocate was answered with ${response.code}`);
    return { relayed, response };
  }

  async permit(...peers: Endpoint[]): Promise<void> {
    const response = await this.requestWithPeers(TYPE.createPermission, peers);
    if (!response.isSuccess) throw new Error(`CreatePermission was answered with ${response.code}`);
  }

  /** ChannelBind; the response as it is. */
  bind(channel: number, peer: Endpoint): Promise<Received> {
    return this.requestWithPeers(
      TYPE.channelBind,
      [peer],
      [ATTR.channelNumber, Buffer.of(channel >> 8, channel & 255, 0, 0)],
    );
  }

  /** Send indication. */
  send(peer: Endpoint, data: Uint8Array, ...attributes: Attribute[]): void {
    const id = randomBytes(12);
    this.raw(message(TYPE.send, [peerAddress(peer, id), [ATTR.data, data], ...attributes], {}, id));
  }

  channelData(channel: number, data: Uint8Array): void {
    this.raw(channelData(channel, data, this.transport !== 'udp'));
  }

  /** The next data from a peer. Throws when none comes. */
  nextData(): Promise<RelayedData> {
    return this.#next(this.#data, 'no data from the peer');
  }

  /** The next ICMP error that data to a peer brought about. Throws when none comes. */
  nextError(): Promise<PeerError> {
    return this.#next(this.#errors, 'no Data indication with ICMP');
  }

  /** Throws unless the server closes the connection. */
  async expectClosed(): Promise<void> {
    let gone = false;
    await this.#within(
      this.socket.closed.then(() => {
        gone = true;
      }),
    );
    if (!gone) throw new Error('the connection stays open');
  }

  close(): Promise<void> {
    return this.socket.close();
  }

  async #next<T>(inbox: T[], missing: string): Promise<T> {
    if (inbox.length === 0) await this.#within(new Promise<void>((resolve) => this.#waiters.set(inbox, resolve)));
    const next = inbox.shift();
    if (next === undefined) throw new Error(this.#broken ?? missing);
    return next;
  }

  async #within(event: Promise<unknown>): Promise<void> {
    const late = new AbortController();
    await Promise.race([event, delay(this.#options.patienceMs, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
  }

  #onPacket(packet: Buffer): void {
    this.received++;
    if ((packet[0] as number) >> 6 === 1) {
      this.#put(this.#data, { channel: packet.readUInt16BE(0), data: packet.subarray(4, 4 + packet.readUInt16BE(2)) });
      return;
    }
    try {
      const received = new Received(packet);
      if (received.type === TYPE.data) {
        const [peer] = received.addresses(ATTR.xorPeerAddress);
        const data = received.value(ATTR.data);
        const icmp = received.value(ATTR.icmp);
        if (peer !== undefined && data !== undefined) this.#put(this.#data, { peer, data, id: received.id });
        if (peer !== undefined && icmp !== undefined) this.#put(this.#errors, { peer, icmp, indication: received });
      } else {
        this.#replies.set(received.id, received);
        this.#replyWaiters.get(received.id)?.();
      }
    } catch (thrown) {
      this.#broken = String(thrown);
    }
  }

  #put<T>(inbox: T[], item: T): void {
    inbox.push(item);
    this.#waiters.get(inbox)?.();
  }
}
