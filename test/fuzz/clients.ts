import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { ATTRIBUTE, encodeChannelData, FrameReader, longTermKey, METHOD, type StunMessage } from '@orama/turn/stun';
import type { Random } from '../support/random.ts';
import type { Judge } from './judge.ts';
import { type Attribute, type Credentials, putTogether, requestOf } from './message.ts';
import { DatagramQuestions, StreamQuestions } from './questions.ts';
import { PEER_IP, PEER_PORTS, PUBLIC_IP, REALM, type ServerUnderTest } from './server-under-test.ts';

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
    const { username, password } = server.credentials();
    this.credentials = { username, realm: REALM, nonce: Buffer.alloc(0), key: longTermKey(username, REALM, password) };
  }

  /** Sends bytes: a datagram, or the next of a stream. */
  abstract send(bytes: Buffer): void;

  /**
   * Gets an allocation with a permission and a channel, as sound clients do; resolves when all of it was sent. An answer
   * is waited for so many turns of the event loop.
   */
  async setUp(patience = 200): Promise<void> {
    const transport = { type: ATTRIBUTE.requestedTransport, value: Buffer.of(17, 0, 0, 0) };
    // An IPv6 relay address beside the IPv4 one, for every second.
    const more = { type: ATTRIBUTE.additionalAddressFamily, value: Buffer.of(2, 0, 0, 0) };
    const wanted = this.random.chance(50) ? [transport, more] : [transport];
    const number = { type: ATTRIBUTE.channelNumber, value: Buffer.of(SOUND_CHANNEL >> 8, 0, 0, 0) };
    const request = (method: number, ...attributes: Attribute[]) =>
      requestOf(method, this.random.bytes(12), ...attributes);
    await this.#ask(putTogether(request(METHOD.allocate, transport)), patience);
    await this.#ask(putTogether(request(METHOD.allocate, ...wanted), this.credentials), patience);
    await this.#ask(putTogether(request(METHOD.channelBind, number, PEER), this.credentials), patience);
    this.send(encodeChannelData(SOUND_CHANNEL, Buffer.from('sound'), true));
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
    for (let turn = 0; turn < patience && this.#answers === before; turn++) await setImmediate();
  }
}

/** A client whose datagrams are handed to the server's socket. */
export class DatagramClient extends FuzzClient {
  readonly address: string;
  readonly port: number;
  readonly #questions = new DatagramQuestions();

  constructor(server: ServerUnderTest, judge: Judge, random: Random, address: string, port: number) {
    super(server, judge, random);
    this.address = address;
    this.port = port;
  }

  send(bytes: Buffer): void {
    this.#questions.asking(bytes);
    this.server.receive(bytes, this.address, this.port);
  }

  /** A packet from the server. */
  receive(packet: Buffer): void {
    const { address, port, credentials } = this;
    this.learn(this.judge.toClient(packet, { questions: this.#questions, address, port, key: credentials.key }));
  }
}

/** A client with a TCP connection. What it sends is cut at random and handed to the server's end, or goes the real way. */
export class StreamClient extends FuzzClient {
  #questions = new StreamQuestions();
  #socket: Socket | undefined;
  /** One way for a whole connection, so that its bytes stay in order. */
  #reallySends = false;

  /** Whether the server still has the connection. */
  get connected(): boolean {
    return this.#serverEnd !== undefined;
  }

  /** Connects anew; resolves when the server has the connection. */
  async connect(): Promise<void> {
    this.close();
    const socket = connect({ host: PUBLIC_IP, port: this.server.port, localAddress: STREAM_CLIENT_IP, noDelay: true });
    this.#socket = socket;
    this.#questions = new StreamQuestions();
    this.#reallySends = this.random.chance(25);
    const { key } = this.credentials;
    const questions = this.#questions;
    const frames = new FrameReader((frame) => {
      const port = socket.localPort ?? 0;
      this.learn(this.judge.toClient(frame, { questions, address: STREAM_CLIENT_IP, port, key }));
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (!frames.push(chunk)) this.judge.accuse('a stream from the server that makes no sense');
    });
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
    while (!socket.destroyed && !this.connected) await setImmediate();
  }

  send(bytes: Buffer): void {
    this.#questions.asking(bytes);
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + this.random.below(bytes.length - at);
      const chunk = bytes.subarray(at, end);
      if (this.#reallySends) this.#socket?.write(chunk);
      else this.#serverEnd?.emit('data', chunk);
      at = end;
    }
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  get #serverEnd(): Socket | undefined {
    const port = this.#socket?.localPort;
    const socket = port === undefined ? undefined : this.server.stream(port);
    return socket?.destroyed === true ? undefined : socket;
  }
}

/** The peer as XOR-PEER-ADDRESS; with IPv4 it does not depend on the transaction id. */
const PEER: Attribute = {
  type: ATTRIBUTE.xorPeerAddress,
  value: Buffer.of(0, 1, PEER_PORTS.start >> 8, PEER_PORTS.start & 255, ...PEER_IP.split('.').map(Number)),
};
for (const [index, mask] of [0x21, 0x12, 0x21, 0x12, 0xa4, 0x42].entries()) {
  PEER.value[index + 2] = (PEER.value[index + 2] as number) ^ mask;
}
