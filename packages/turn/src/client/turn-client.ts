import { randomBytes } from 'node:crypto';
import {
  type AddressFamily,
  ATTRIBUTE,
  addressFamily,
  announcesPasswordAlgorithms,
  CHANNEL_HEADER_BYTES,
  CLASS,
  channelDataLength,
  channelNumber,
  ERROR_REASONS,
  encodeChannelData,
  evenPort,
  familyOf,
  type IcmpError,
  isChannelData,
  longTermKey,
  METHOD,
  opaqueString,
  type PasswordAlgorithm,
  passwordAlgorithm,
  readIcmp,
  readPasswordAlgorithm,
  requestedTransport,
  StunMessage,
  StunWriter,
  type TransportAddress,
} from '../stun/index.ts';
import { type ClientSocket, openSocket, type SocketOptions, type TlsFacts } from './client-socket.ts';

export type { TlsFacts };

/** Retransmissions over UDP: first after this, then doubling (RFC 8489 section 6.2.1). */
const FIRST_RETRANSMISSION_MS = 250;
const DEFAULT_TIMEOUT_MS = 10_000;
/** Sent with every request: a server that answers no more than three times a request's size has room for a challenge. */
const SOFTWARE = 'Orama TURN client';

export interface TurnClientOptions extends SocketOptions {
  /** As a user types it; prepared as an OpaqueString (RFC 8265), the password too. */
  username?: string;
  password?: string;
  /** Speaks as clients of RFC 5389 do: MD5 and MESSAGE-INTEGRITY, whatever the server offers. */
  legacyIntegrity?: boolean;
  /** How long one request may take, retransmissions included. */
  timeoutMs?: number;
}

/** Data from a peer, and the channel it came on when it came on one. */
export interface PeerData {
  data: Buffer;
  peer: TransportAddress | undefined;
  channel: number | undefined;
}

/** An ICMP error that data sent to a peer brought about. */
export interface PeerError {
  peer: TransportAddress | undefined;
  error: IcmpError;
}

/** An error response; `code` is the STUN error code. */
export class TurnError extends Error {
  readonly code: number;
  /** The server that a draining one names (ALTERNATE-SERVER). */
  readonly alternate: TransportAddress | undefined;

  constructor(method: string, reply: StunMessage) {
    const code = reply.errorCode ?? 0;
    super(`${method} was answered with ${code} (${ERROR_REASONS[code] ?? 'unknown'})`);
    this.code = code;
    this.alternate = reply.plainAddress(ATTRIBUTE.alternateServer);
  }
}

/** What Allocate may ask for beyond its defaults (RFC 8656 section 7.1). */
export interface AllocateOptions {
  lifetimeSec?: number;
  /** REQUESTED-ADDRESS-FAMILY. */
  family?: AddressFamily;
  /** ADDITIONAL-ADDRESS-FAMILY: an IPv6 relay address beside the IPv4 one. */
  additionalIpv6?: boolean;
  /** DONT-FRAGMENT: whether the server can honour it in Send indications. */
  dontFragment?: boolean;
  /** EVEN-PORT; `reserve` asks for the next port too. */
  evenPort?: 'only' | 'reserve';
  /** RESERVATION-TOKEN of an earlier answer. */
  reservationToken?: Uint8Array;
  /** Attributes added to the request before it is sealed. */
  fill?: FillRequest;
  /** As of the client, for this request alone. */
  timeoutMs?: number | undefined;
}

/** What a server granted. */
export interface AllocateResult {
  /** The first relayed address; the only one, unless two families were asked for. */
  relayed: TransportAddress;
  /** Every relayed address. */
  allRelayed: TransportAddress[];
  mapped: TransportAddress;
  lifetimeSec: number;
  reservationToken: Buffer | undefined;
  /** What the server says it is. */
  software: string | undefined;
}

/** Attributes added to a request before it is sealed. */
export type FillRequest = (writer: StunWriter) => void;

/**
 * A raw TURN client over real sockets: for tests, and for checking a server. It authenticates by itself, follows
 * stale nonces and answers with exactly what the server said; it refreshes nothing on its own.
 */
export class TurnClient {
  readonly #options: TurnClientOptions;
  readonly #waiting = new Map<string, { answer: (message: StunMessage) => void; fail: (why: Error) => void }>();
  readonly #listeners = new Set<(data: PeerData) => void>();
  readonly #errorListeners = new Set<(error: PeerError) => void>();
  readonly #peerByChannel = new Map<number, TransportAddress>();
  #socket: ClientSocket | undefined;
  #realm: string | undefined;
  #nonce: Buffer | undefined;
  /** The password algorithm taken, and the whole offer, which is sent back. */
  #offer: { algorithm: PasswordAlgorithm; algorithms: Buffer } | undefined;

  /** Keys that requests of ours are sealed with. */
  readonly #keys = new WeakMap<Buffer, Buffer>();

  private constructor(options: TurnClientOptions) {
    this.#options = options;
  }

  /** Opens the socket. Rejects when a TCP connection is refused. */
  static async open(options: TurnClientOptions): Promise<TurnClient> {
    const client = new TurnClient(options);
    client.#socket = await openSocket(options, (packet) => client.#onPacket(packet));
    void client.#socket.closed.then(() => {
      for (const { fail } of [...client.#waiting.values()])
        fail(new Error('the connection was closed before an answer came'));
    });
    return client;
  }

  /** The local address and port, as the server sees them when nothing is between. */
  get local(): { address: string; port: number } {
    return this.#open.local;
  }

  /** Milliseconds until there was a TCP connection; 0 for UDP. */
  get connectMs(): number {
    return this.#open.connectMs;
  }

  /** How the TLS connection came about; undefined where there is none. */
  get tls(): TlsFacts | undefined {
    return this.#open.tls;
  }

  /** Resolves when the socket is gone, whoever ended it. */
  get disconnected(): Promise<void> {
    return this.#open.closed;
  }

  /** Binding: the address the server sees. */
  async binding(): Promise<TransportAddress> {
    const reply = await this.request(METHOD.binding, undefined, { credentials: false });
    return required(reply.address(ATTRIBUTE.xorMappedAddress), 'XOR-MAPPED-ADDRESS');
  }

  /** Allocate. Throws a TurnError with the code the server refuses with. */
  async allocate({ timeoutMs, ...options }: AllocateOptions = {}): Promise<AllocateResult> {
    const fill = (writer: StunWriter) => {
      writer.bytes(ATTRIBUTE.requestedTransport, requestedTransport());
      if (options.lifetimeSec !== undefined) writer.uint32(ATTRIBUTE.lifetime, options.lifetimeSec);
      if (options.family !== undefined) writer.bytes(ATTRIBUTE.requestedAddressFamily, addressFamily(options.family));
      if (options.additionalIpv6) writer.bytes(ATTRIBUTE.additionalAddressFamily, addressFamily(6));
      if (options.dontFragment) writer.flag(ATTRIBUTE.dontFragment);
      if (options.evenPort) writer.bytes(ATTRIBUTE.evenPort, evenPort(options.evenPort === 'reserve'));
      if (options.reservationToken) writer.bytes(ATTRIBUTE.reservationToken, options.reservationToken);
      options.fill?.(writer);
    };
    const reply = await this.request(METHOD.allocate, fill, { timeoutMs });
    return {
      relayed: required(reply.address(ATTRIBUTE.xorRelayedAddress), 'XOR-RELAYED-ADDRESS'),
      allRelayed: reply.addresses(ATTRIBUTE.xorRelayedAddress).filter((address) => address !== undefined),
      mapped: required(reply.address(ATTRIBUTE.xorMappedAddress), 'XOR-MAPPED-ADDRESS'),
      lifetimeSec: required(reply.uint32(ATTRIBUTE.lifetime), 'LIFETIME'),
      reservationToken: reply.bytes(ATTRIBUTE.reservationToken),
      software: reply.text(ATTRIBUTE.software),
    };
  }

  /** Refresh, of one family's half where given; answers with the lifetime granted. 0 ends the allocation. */
  async refresh(lifetimeSec?: number, family?: AddressFamily): Promise<number> {
    const reply = await this.request(METHOD.refresh, (writer) => {
      if (lifetimeSec !== undefined) writer.uint32(ATTRIBUTE.lifetime, lifetimeSec);
      if (family !== undefined) writer.bytes(ATTRIBUTE.requestedAddressFamily, addressFamily(family));
    });
    return required(reply.uint32(ATTRIBUTE.lifetime), 'LIFETIME');
  }

  /** CreatePermission for one or more peer addresses, IPv4 or IPv6. */
  async createPermission(...addresses: string[]): Promise<void> {
    await this.request(METHOD.createPermission, (writer) => {
      for (const address of addresses) writer.address(ATTRIBUTE.xorPeerAddress, address, 0);
    });
  }

  /** ChannelBind of a number (0x4000-0x4fff) to a peer. */
  async channelBind(channel: number, address: string, port: number): Promise<void> {
    await this.request(METHOD.channelBind, (writer) => {
      writer.bytes(ATTRIBUTE.channelNumber, channelNumber(channel));
      writer.address(ATTRIBUTE.xorPeerAddress, address, port);
    });
    this.#peerByChannel.set(channel, { family: familyOf(address), address, port });
  }

  /** Send indication, with DONT-FRAGMENT where asked for: never answered. */
  send(address: string, port: number, data: Uint8Array, options: { dontFragment?: boolean } = {}): void {
    const writer = new StunWriter(METHOD.send, CLASS.indication, randomBytes(12), 64 + data.length);
    if (options.dontFragment) writer.flag(ATTRIBUTE.dontFragment);
    this.sendRaw(writer.address(ATTRIBUTE.xorPeerAddress, address, port).bytes(ATTRIBUTE.data, data).finish());
  }

  /** ChannelData. */
  channelData(channel: number, data: Uint8Array): void {
    this.sendRaw(encodeChannelData(channel, Buffer.from(data), this.#options.transport !== 'udp'));
  }

  /** Calls `listener` with what peers send; the result takes it off again. */
  onData(listener: (data: PeerData) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `listener` with what the server tells of peers that were not reached; the result takes it off again. */
  onPeerError(listener: (error: PeerError) => void): () => void {
    this.#errorListeners.add(listener);
    return () => this.#errorListeners.delete(listener);
  }

  /** The next data from a peer. Start waiting before causing it. */
  nextData(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<PeerData> {
    return new Promise((resolve, reject) => {
      const stop = this.onData((data) => {
        clearTimeout(timer);
        stop();
        resolve(data);
      });
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`no data from a peer within ${timeoutMs} ms`));
      }, timeoutMs);
    });
  }

  /**
   * Sends a request and resolves with its success response. With credentials (the default) a 401 or 438 is answered
   * once with realm and nonce. Throws a TurnError for an error response, an Error when no answer comes.
   */
  async request(
    method: number,
    fill?: FillRequest,
    { credentials = true, timeoutMs }: { credentials?: boolean; timeoutMs?: number | undefined } = {},
  ): Promise<StunMessage> {
    let reply = await this.exchange(this.#build(method, fill, credentials), timeoutMs);
    const mayLearn = credentials && this.#options.username !== undefined;
    if (mayLearn && (reply.errorCode === 401 || reply.errorCode === 438) && this.#learn(reply)) {
      reply = await this.exchange(this.#build(method, fill, true), timeoutMs);
    }
    if (reply.cls === CLASS.error) throw new TurnError(methodName(method), reply);
    return reply;
  }

  /** Sends a finished request, repeating it over UDP, and resolves with whatever response comes, errors too. */
  exchange(request: Buffer, timeoutMs = this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS): Promise<StunMessage> {
    const id = request.subarray(8, 20).toString('latin1');
    const key = this.#keys.get(request);
    return new Promise((resolve, reject) => {
      let waitMs = FIRST_RETRANSMISSION_MS;
      let repeat: NodeJS.Timeout | undefined;
      const finish = () => {
        clearTimeout(giveUp);
        clearTimeout(repeat);
        this.#waiting.delete(id);
      };
      const fail = (why: Error) => {
        finish();
        reject(why);
      };
      const giveUp = setTimeout(() => fail(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      const answer = (message: StunMessage) => {
        // What somebody else has sealed is no answer (RFC 8489 section 9.2.5).
        if (key !== undefined && message.integrity !== undefined && !message.integrityMatches(key)) return;
        finish();
        resolve(message);
      };
      this.#waiting.set(id, { answer, fail });
      const transmit = () => {
        this.sendRaw(request);
        if (this.#options.transport !== 'udp') return;
        repeat = setTimeout(transmit, waitMs);
        waitMs *= 2;
      };
      transmit();
    });
  }

  /** Sends bytes as they are. */
  sendRaw(bytes: Uint8Array): void {
    this.#open.send(bytes);
  }

  /** Builds an authenticated request with what is known of realm and nonce, for tests that send it themselves. */
  buildRequest(method: number, fill?: FillRequest): Buffer {
    return this.#build(method, fill, true);
  }

  /** Stops reading from a stream, so that the server's queue fills up. */
  pauseReading(): void {
    this.#open.pause();
  }

  /** Closes the socket without telling the server. */
  async close(): Promise<void> {
    this.#listeners.clear();
    this.#errorListeners.clear();
    await this.#open.close();
  }

  get #open(): ClientSocket {
    if (this.#socket === undefined) throw new Error('the client is not open yet');
    return this.#socket;
  }

  #build(method: number, fill: FillRequest | undefined, credentials: boolean): Buffer {
    const { username = '', password = '' } = this.#options;
    const writer = new StunWriter(method, CLASS.request, randomBytes(12));
    fill?.(writer);
    writer.text(ATTRIBUTE.software, SOFTWARE);
    if (!credentials || this.#realm === undefined || this.#nonce === undefined) return writer.finish();
    writer.text(ATTRIBUTE.username, opaqueString(username, 'username'));
    writer.text(ATTRIBUTE.realm, this.#realm);
    writer.bytes(ATTRIBUTE.nonce, this.#nonce);
    if (this.#offer !== undefined) {
      writer.bytes(ATTRIBUTE.passwordAlgorithms, this.#offer.algorithms);
      writer.bytes(ATTRIBUTE.passwordAlgorithm, passwordAlgorithm(this.#offer.algorithm));
    }
    const key = longTermKey(username, this.#realm, password, this.#offer?.algorithm);
    const request = writer.finish({ key, integrity: this.#offer === undefined ? 'sha1' : 'sha256' });
    this.#keys.set(request, key);
    return request;
  }

  /**
   * Takes realm, nonce and password algorithms from a 401 or 438; false when there is nothing new to try with. Throws
   * when the nonce announces algorithms that somebody took out on the way (RFC 8489 section 9.2.5).
   */
  #learn(reply: StunMessage): boolean {
    const tried = this.#nonce !== undefined && reply.errorCode === 401;
    const nonce = reply.bytes(ATTRIBUTE.nonce);
    const realm = reply.text(ATTRIBUTE.realm);
    if (nonce === undefined || realm === undefined) return false;
    this.#nonce = Buffer.from(nonce);
    this.#realm = realm;
    this.#offer = undefined;
    const algorithms = reply.bytes(ATTRIBUTE.passwordAlgorithms);
    if (announcesPasswordAlgorithms(nonce) && algorithms === undefined) {
      throw new Error(
        'the nonce announces password algorithms and the answer has none: somebody changed it on the way',
      );
    }
    const algorithm = algorithms && readPasswordAlgorithm(algorithms);
    if (algorithm && !this.#options.legacyIntegrity) {
      this.#offer = { algorithm, algorithms: Buffer.from(algorithms) };
    }
    return !tried;
  }

  #onPacket(packet: Buffer): void {
    if (packet.length > 0 && isChannelData(packet[0] as number)) {
      const length = channelDataLength(packet, packet.length);
      if (length < 0) return;
      const channel = packet.readUInt16BE(0);
      const data = packet.subarray(CHANNEL_HEADER_BYTES, CHANNEL_HEADER_BYTES + length);
      this.#emit({ data, channel, peer: this.#peerByChannel.get(channel) });
      return;
    }
    const message = StunMessage.parse(packet);
    if (message === undefined) return;
    if (message.method === METHOD.data && message.cls === CLASS.indication) {
      const peer = message.address(ATTRIBUTE.xorPeerAddress);
      const data = message.bytes(ATTRIBUTE.data);
      const icmp = message.bytes(ATTRIBUTE.icmp);
      const error = icmp && readIcmp(icmp);
      if (data) this.#emit({ data, channel: undefined, peer });
      if (error) for (const listener of [...this.#errorListeners]) listener({ peer, error });
    } else if (message.cls === CLASS.success || message.cls === CLASS.error) {
      this.#waiting.get(message.transactionId.toString('latin1'))?.answer(message);
    }
  }

  #emit(data: PeerData): void {
    for (const listener of [...this.#listeners]) listener(data);
  }
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the answer has no ${what}`);
  return value;
}

function methodName(method: number): string {
  return Object.entries(METHOD).find(([, number]) => number === method)?.[0] ?? `method ${method}`;
}
