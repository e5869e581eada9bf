import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ATTRIBUTE, encodeChannelData, FrameReader, longTermKey, METHOD, type StunMessage } from '@orama/turn/stun';
import type { Random } from '../../support/random.ts';
import type { Judge } from './judge.ts';
import { type Attribute, type Credentials, putTogether, requestOf } from './message.ts';
import { DatagramQuestions, StreamQuestions } from './questions.ts';
import {
  credentialsAt,
  type DatagramEnd,
  PEER_PORTS,
  PUBLIC_IP,
  REALM,
  type ServerUnderTest,
} from './server-under-test.ts';

const STREAM_CLIENT_IP = '127.96.3.1';
const SOUND_CHANNEL = 0x4000;

/** Somebody with a way to the server, and with credentials that may or may not be used. */
export abstract class FuzzClient {
  readonly credentials: Credentials;
  protected readonly server: ServerUnderTest;
  protected readonly judge: Judge;
  protected readonly random: Random;
  #answers = 0;

  constructor(server: ServerUnderTest, judge: Judge, random: Random) {
    this.server = server;
    this.judge = judge;
    this.random = random;
    const { username, password } = credentialsAt(server.host.nowMs());
    this.credentials = { username, realm: REALM, nonce: Buffer.alloc(0), key: longTermKey(username, REALM, password) };
  }

  /** Sends bytes: a datagram, or the next of a stream. */
  abstract send(bytes: Buffer): void;

  /**
   * Gets an allocation with a permission and a channel, as sound clients do; resolves when all of it was sent. An answer
   * is waited for so many turns of the server.
   */
  async setUp(patience = 200): Promise<void> {
    const transport = { type: ATTRIBUTE.requestedTransport, value: Buffer.of(17, 0, 0, 0) };
    // An IPv6 relay address beside the IPv4 one, for every second.
    const more = { type: ATTRIBUTE.additionalAddressFamily, value: Buffer.of(2, 0, 0, 0) };
    const wanted = this.random.chance(50) ? [transport, more] : [transport];
    const number = { type: ATTRIBUTE.channelNumber, value: Buffer.of(SOUND_CHANNEL >> 8, 0, 0, 0) };
    const peer = peerAttribute(this.server.way.peerAddress);
    const request = (method: number, ...attributes: Attribute[]) =>
      requestOf(method, this.random.bytes(12), ...attributes);
    await this.#ask(putTogether(request(METHOD.allocate, transport)), patience);
    await this.#ask(putTogether(request(METHOD.allocate, ...wanted), this.credentials), patience);
    await this.#ask(putTogether(request(METHOD.channelBind, number, peer), this.credentials), patience);
    this.send(encodeChannelData(SOUND_CHANNEL, Buffer.from('sound'), true));
    this.flush();
  }

  /** Sends what was held back. */
  protected flush(): void {
    // A datagram is sent whole.
  }

  protected learn(answer: StunMessage | undefined): void {
    if (answer === undefined) return;
    this.#answers++;
    const nonce = answer.bytes(ATTRIBUTE.nonce);
    if (nonce !== undefined) this.credentials.nonce = Buffer.from(nonce);
  }

  /** Sends a request and lets the answer come; goes on without one when there is none. */
  async #ask(request: Buffer, patience: number): Promise<void> {
    const before = this.#answers;
    this.send(request);
    this.flush();
    for (let turn = 0; turn < patience && this.#answers === before; turn++) await this.server.way.turn();
  }
}

/** A client over UDP. */
export class DatagramClient extends FuzzClient {
  readonly #questions = new DatagramQuestions(this.server.way.atOnce);
  #end: DatagramEnd | undefined;

  static async open(server: ServerUnderTest, judge: Judge, random: Random): Promise<DatagramClient> {
    const client = new DatagramClient(server, judge, random);
    client.#end = await server.way.open((packet) => client.#receive(packet), random);
    return client;
  }

  send(bytes: Buffer): void {
    this.#questions.asking(bytes);
    this.#end?.send(bytes);
  }

  #receive(packet: Buffer): void {
    const { address = '', port = 0 } = this.#end ?? {};
    const { key } = this.credentials;
    this.learn(this.judge.toClient(packet, { questions: this.#questions, address, port, key }));
  }
}

/** A client with a TCP or TLS connection, whose bytes are cut at random. */
export class StreamClient extends FuzzClient {
  readonly protocol: 'tcp' | 'tls';
  #questions = new StreamQuestions();
  #socket: Socket | undefined;
  /** One way for a whole connection, so that its bytes stay in order. */
  #reallySends = false;
  /** What is sent with what follows. */
  #heldBack: Buffer = Buffer.alloc(0);

  constructor(protocol: 'tcp' | 'tls', server: ServerUnderTest, judge: Judge, random: Random) {
    super(server, judge, random);
    this.protocol = protocol;
  }

  /** Whether there is a connection, as far as this end knows. */
  get connected(): boolean {
    return this.#socket !== undefined && !this.#socket.destroyed;
  }

  /** Connects anew; resolves when that is done or has failed. */
  async connect(): Promise<void> {
    this.close();
    const socket = this.#open();
    this.#socket = socket;
    this.#heldBack = Buffer.alloc(0);
    const questions = new StreamQuestions();
    this.#questions = questions;
    this.#reallySends = this.protocol === 'tls' || this.random.chance(25);
    const { key } = this.credentials;
    const frames = new FrameReader((frame) => {
      const port = socket.localPort ?? 0;
      this.learn(this.judge.toClient(frame, { questions, address: STREAM_CLIENT_IP, port, key }));
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (!frames.push(chunk)) this.judge.accuse('a stream from the server that makes no sense');
    });
    const opened = once(socket, this.protocol === 'tls' ? 'secureConnect' : 'connect');
    await Promise.race([opened, once(socket, 'close')]).catch(() => undefined);
    await this.server.way.turn();
  }

  send(bytes: Buffer): void {
    this.#questions.asking(bytes);
    const all = Buffer.concat([this.#heldBack, bytes]);
    let at = 0;
    while (at < all.length && (at === 0 || this.random.chance(70))) {
      const end = at + 1 + this.random.below(all.length - at);
      this.#pass(all.subarray(at, end));
      at = end;
    }
    this.#heldBack = all.subarray(at);
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  protected override flush(): void {
    this.#pass(this.#heldBack);
    this.#heldBack = Buffer.alloc(0);
  }

  #pass(chunk: Buffer): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed || chunk.length === 0) return;
    if (this.#reallySends || !this.server.way.deliver(socket.localPort ?? 0, chunk)) {
      this.#reallySends = true;
      socket.write(chunk);
    }
  }

  #open(): Socket {
    const { ports } = this.server.host;
    const where = { host: PUBLIC_IP, localAddress: STREAM_CLIENT_IP, noDelay: true };
    if (this.protocol === 'tcp') return connect({ ...where, port: ports.turn });
    // localAddress is for the connection below.
    const socket = connect({ ...where, port: ports.tls });
    return connectTls({ socket, rejectUnauthorized: false });
  }
}

/** Whoever talks to the TLS port without TLS: sends bytes once and has done with it. */
export class Blunderer {
  readonly #sockets = new Set<Socket>();

  send(port: number, bytes: Buffer): void {
    const socket = connect({ host: PUBLIC_IP, port, localAddress: STREAM_CLIENT_IP });
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.resume().end(bytes);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** A peer as XOR-PEER-ADDRESS; with IPv4 it does not depend on the transaction id. */
function peerAttribute(address: string): Attribute {
  const value = Buffer.of(0, 1, PEER_PORTS.start >> 8, PEER_PORTS.start & 255, ...address.split('.').map(Number));
  for (const [index, mask] of [0x21, 0x12, 0x21, 0x12, 0xa4, 0x42].entries()) {
    value[index + 2] = (value[index + 2] as number) ^ mask;
  }
  return { type: ATTRIBUTE.xorPeerAddress, value };
}
