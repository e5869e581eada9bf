import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { CLASS, METHOD, messageType, STUN_HEADER_BYTES } from '@orama/turn/stun';
import type { Random } from '../../support/random.ts';
import { putTogether, requestOf } from './message.ts';
import {
  type DatagramEnd,
  PEER_PORTS,
  PUBLIC_IP,
  REAL_PEER_IP,
  RELAY_IP,
  STRANGER_IP,
  type Taps,
  type Way,
} from './server-under-test.ts';

const CLIENT_NET = '127.96.3';
/** Several, so that with several workers each has some. */
const PACERS = 4;
/** A request that is lost is sent again. */
const RESEND_MS = 250;
const RESENDS = 60;

/** Real sockets of clients and of peers. */
export class Wire implements Way {
  readonly peerAddress = REAL_PEER_IP;
  readonly atOnce = false;
  readonly openSockets = 0;
  readonly #port: number;
  readonly #clients = new Set<Socket>();
  readonly #pacers: Pacer[] = [];
  readonly #peers: Socket[] = [];
  readonly #strangers: Socket[] = [];
  #turns = 0;

  private constructor(port: number) {
    this.#port = port;
  }

  /** @param port the server's UDP port */
  static async open(port: number, taps: Taps): Promise<Wire> {
    const wire = new Wire(port);
    for (let n = 0; n < PACERS; n++) wire.#pacers.push(new Pacer(await bind(`${CLIENT_NET}.1`), port));
    // The ports beside those that the policy names are there to see that nothing comes.
    for (let peerPort = PEER_PORTS.start; peerPort <= PEER_PORTS.end + 1; peerPort++) {
      const peer = await bind(REAL_PEER_IP, peerPort);
      peer.on('message', () => taps.toPeer(REAL_PEER_IP, peerPort));
      (peerPort <= PEER_PORTS.end ? wire.#peers : wire.#strangers).push(peer);
    }
    const stranger = await bind(STRANGER_IP);
    stranger.on('message', () => taps.toPeer(STRANGER_IP, stranger.address().port));
    wire.#strangers.push(stranger);
    return wire;
  }

  async open(receive: (packet: Buffer) => void, random: Random): Promise<DatagramEnd> {
    const socket = await bind(`${CLIENT_NET}.${2 + random.below(250)}`);
    this.#clients.add(socket);
    socket.on('message', receive);
    const { address, port } = socket.address();
    return { address, port, send: (packet) => socket.send(packet, this.#port, PUBLIC_IP) };
  }

  fromPeer(data: Buffer, from: 'peer' | 'stranger', relayed: readonly { port: number }[], random: Random): void {
    if (relayed.length === 0) return;
    random.pick(from === 'peer' ? this.#peers : this.#strangers).send(data, random.pick(relayed).port, RELAY_IP);
  }

  deliver(): boolean {
    return false;
  }

  /** A request there and its answer back. Rejects when the server answers nothing any more. */
  async turn(): Promise<void> {
    await this.#pacers[this.#turns++ % PACERS]?.ask();
  }

  clear(): void {
    for (const socket of this.#clients) socket.close();
    this.#clients.clear();
  }

  close(): void {
    this.clear();
    for (const { socket } of this.#pacers) socket.close();
    for (const socket of [...this.#peers, ...this.#strangers]) socket.close();
  }
}

/** Asks for its address, again and again. */
class Pacer {
  readonly socket: Socket;
  readonly #port: number;
  readonly #id = Buffer.alloc(12, 'pacer');
  #asked = 0;
  #answered: () => void = () => undefined;

  constructor(socket: Socket, port: number) {
    this.socket = socket;
    this.#port = port;
    socket.on('message', (answer) => {
      const isSuccess = answer.readUInt16BE(0) === messageType(METHOD.binding, CLASS.success);
      if (isSuccess && answer.subarray(8, STUN_HEADER_BYTES).equals(this.#id)) this.#answered();
    });
  }

  async ask(): Promise<void> {
    this.#id.writeUInt32BE(++this.#asked, 8);
    const request = putTogether(requestOf(METHOD.binding, this.#id));
    for (let attempt = 0; attempt < RESENDS; attempt++) {
      this.socket.send(request, this.#port, PUBLIC_IP);
      const answered = await new Promise<boolean>((resolve) => {
        const late = setTimeout(resolve, RESEND_MS, false);
        this.#answered = () => {
          clearTimeout(late);
          resolve(true);
        };
      });
      if (answered) return;
    }
    throw new Error('the server answers nothing any more');
  }
}

async function bind(address: string, port = 0): Promise<Socket> {
  const socket = createSocket('udp4').bind({ address, port });
  await once(socket, 'listening');
  // What ICMP answers is no concern of theirs.
  socket.on('error', () => undefined);
  return socket;
}
