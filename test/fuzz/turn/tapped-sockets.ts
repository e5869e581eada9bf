import {
  DgramSockets,
  type HostAddress,
  type MakeSockets,
  type UdpSocket,
  type UdpSocketOptions,
  type UdpSockets,
} from '@orama/turn';
import { hostKey } from '@orama/turn/stun';

const LARGEST_DATAGRAM = 65_535;
/** What a receive buffer holds once its bytes are not the receiver's any more. */
const OVERWRITTEN = 0xdd;

/** Takes a datagram that is about to be sent; false when it is to go out over the real socket. */
export type OnSent = (socket: TappedSocket, packet: Buffer, address: string, port: number) => boolean;

/** A real socket that shows what it is to send, and that can be handed datagrams as if they had come. */
export class TappedSocket implements UdpSocket {
  readonly address: string;
  readonly #inner: UdpSocket;
  readonly #options: UdpSocketOptions;
  readonly #onSent: OnSent;
  readonly #onClosed: (socket: TappedSocket) => void;
  readonly #received = Buffer.alloc(LARGEST_DATAGRAM);

  constructor(inner: UdpSocket, options: UdpSocketOptions, onSent: OnSent, onClosed: (socket: TappedSocket) => void) {
    this.address = options.address;
    this.#inner = inner;
    this.#options = options;
    this.#onSent = onSent;
    this.#onClosed = onClosed;
  }

  get port(): number {
    return this.#inner.port;
  }

  /** A datagram comes, in a buffer that is used again at once. */
  receive(datagram: Buffer, address: string, port: number): void {
    datagram.copy(this.#received);
    this.#options.onDatagram(this.#received, datagram.length, hostKey(address), port);
    this.#received.fill(OVERWRITTEN, 0, datagram.length);
  }

  send(buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void {
    if (this.#onSent(this, Buffer.from(buffer.subarray(start, end)), to.text, port)) return;
    this.#inner.send(buffer, start, end, to, port);
  }

  sendWithDf(buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void {
    if (this.#onSent(this, Buffer.from(buffer.subarray(start, end)), to.text, port)) return;
    this.#inner.sendWithDf(buffer, start, end, to, port);
  }

  sendFramed(
    header: Buffer,
    headerBytes: number,
    data: Buffer,
    dataBytes: number,
    paddingBytes: number,
    to: HostAddress,
    port: number,
  ): void {
    const packet = Buffer.concat([
      header.subarray(0, headerBytes),
      data.subarray(0, dataBytes),
      Buffer.alloc(paddingBytes),
    ]);
    if (this.#onSent(this, packet, to.text, port)) return;
    this.#inner.sendFramed(header, headerBytes, data, dataBytes, paddingBytes, to, port);
  }

  async close(): Promise<void> {
    await this.#inner.close();
    this.#onClosed(this);
  }
}

/** Node's own sockets, tapped. The batched ones sleep between turns of the event loop, of which a run has very many. */
export class TappedSockets implements UdpSockets {
  /** Those that are open. */
  readonly sockets: TappedSocket[] = [];
  readonly #inner: UdpSockets;
  readonly #onSent: OnSent;

  constructor(onSent: OnSent, drops: Parameters<MakeSockets>[0], bugs: Parameters<MakeSockets>[1]) {
    this.#inner = new DgramSockets(drops, bugs);
    this.#onSent = onSent;
  }

  get canSetDf(): boolean {
    return this.#inner.canSetDf;
  }

  get turn(): number {
    return this.#inner.turn;
  }

  get sleptMs(): number {
    return this.#inner.sleptMs;
  }

  get standstill() {
    return this.#inner.standstill;
  }

  async open(options: UdpSocketOptions): Promise<UdpSocket> {
    const closed = (socket: TappedSocket) => this.sockets.splice(this.sockets.indexOf(socket), 1);
    const socket = new TappedSocket(await this.#inner.open(options), options, this.#onSent, closed);
    this.sockets.push(socket);
    return socket;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
