import { createSocket, type Socket } from 'node:dgram';
import type { BugLog } from '../bug-log.ts';
import type { DropCounters } from '../relay/relay.ts';
import { hostKey } from '../stun/index.ts';
import type { HostAddress, UdpSocket, UdpSocketOptions, UdpSockets } from './udp-socket.ts';

/** First size of the buffer that framed datagrams are put together in; it grows when a larger one comes. */
const SCRATCH_BYTES = 2048;

/** Node's own sockets: they work everywhere, at one system call and one event a datagram. */
export class DgramSockets implements UdpSockets {
  readonly canSetDf = false;
  /** The event loop itself waits for these. */
  readonly sleptMs = 0;
  readonly standstill = undefined;
  readonly #drops: DropCounters;
  readonly #bugs: BugLog;
  #turn = 0;

  constructor(drops: DropCounters, bugs: BugLog) {
    this.#drops = drops;
    this.#bugs = bugs;
  }

  /** Each datagram comes by itself. */
  get turn(): number {
    this.#turn = (this.#turn + 1) | 0;
    return this.#turn;
  }

  async close(): Promise<void> {
    // Nothing is shared.
  }

  open(options: UdpSocketOptions): Promise<UdpSocket> {
    const ipv6 = options.address.includes(':');
    const socket = createSocket({
      type: ipv6 ? 'udp6' : 'udp4',
      ipv6Only: ipv6,
      lookup: withoutLookup,
      reusePort: options.reusePort ?? false,
      ...(options.receiveBufferBytes === undefined ? {} : { recvBufferSize: options.receiveBufferBytes }),
    });
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ address: options.address, port: options.port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        // An ICMP answer or a full queue is the loss UDP promises; the socket itself goes on.
        socket.on('error', () => undefined);
        resolve(new DgramSocket(socket, options, this.#drops, this.#bugs));
      });
    });
  }
}

/** Peers are addresses, never names; answering at once keeps `send` synchronous. */
function withoutLookup(
  host: string,
  _options: unknown,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, host, 4);
}

class DgramSocket implements UdpSocket {
  readonly port: number;
  readonly #socket: Socket;
  readonly #sendQueueMaxBytes: number;
  readonly #drops: DropCounters;
  #scratch = Buffer.alloc(0);
  #closed: Promise<void> | undefined;

  constructor(socket: Socket, { onDatagram, sendQueueMaxBytes }: UdpSocketOptions, drops: DropCounters, bugs: BugLog) {
    this.#socket = socket;
    this.port = socket.address().port;
    this.#sendQueueMaxBytes = sendQueueMaxBytes;
    this.#drops = drops;
    socket.on('message', (datagram, from) => {
      try {
        onDatagram(datagram, datagram.length, hostKey(from.address), from.port);
      } catch (thrown) {
        bugs.report(thrown);
      }
    });
  }

  send(buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void {
    if (!this.#mayQueue()) return;
    this.#socket.send(buffer, start, end - start, port, to.text);
  }

  sendWithDf(): void {
    this.#drops.sendFailed++;
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
    if (!this.#mayQueue()) return;
    const dataEnd = headerBytes + dataBytes;
    const length = dataEnd + paddingBytes;
    if (this.#scratch.length < length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(length, SCRATCH_BYTES));
    const scratch = this.#scratch;
    header.copy(scratch, 0, 0, headerBytes);
    data.copy(scratch, headerBytes, 0, dataBytes);
    scratch.fill(0, dataEnd, length);
    this.#socket.send(scratch, 0, length, port, to.text);
    // Nearly always the system has the packet now. When it waits in the queue instead, the queue owns those bytes.
    if (this.#socket.getSendQueueCount() !== 0) this.#scratch = Buffer.alloc(0);
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#socket.removeAllListeners('message');
      this.#socket.close(() => resolve());
    });
    return this.#closed;
  }

  #mayQueue(): boolean {
    if (this.#closed !== undefined) return false;
    if (this.#socket.getSendQueueSize() <= this.#sendQueueMaxBytes) return true;
    this.#drops.sendQueueFull++;
    return false;
  }
}
