import { createHistogram } from 'node:perf_hooks';
import type { BugLog } from '../../bug-log.ts';
import type { DropCounters } from '../../relay/relay.ts';
import { ipv4ToNumber } from '../../stun/index.ts';
import type { HostAddress, OnDatagram, OnIcmp, UdpSocket, UdpSocketOptions, UdpSockets } from '../udp-socket.ts';
import { Batch } from './batch.ts';
import { ErrorQueue } from './error-queue.ts';
import {
  AF_INET,
  AF_INET6,
  EPOLL_DATA_OFFSET,
  EPOLL_EVENT_BYTES,
  EPOLLERR,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  IPV6_V6ONLY,
  type Libc,
  SO_RCVBUF,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOL_SOCKET,
} from './libc.ts';
import { NativeMemory } from './native-memory.ts';

/** Sockets looked at in one turn. */
const EVENTS = 64;
/**
 * How long a turn takes at most. Whatever wakes the event loop ends it at once, but for timers: they may be so much late.
 * The event loop takes a busy thread 30 to 70 µs each time, and nothing of a TURN server needs timers closer than this.
 */
const TURN_MS = 40;
/** A turn ends when so long nothing has come: what the event loop runs next without being woken waits no longer. */
const IDLE_MS = 10;
/**
 * After so many datagrams a turn ends though there are more, once one of them was not sent on at once: streams to clients
 * take what they were given only in a turn of the event loop. Fewer would cost time, some microseconds for each turn.
 */
const TURN_DATAGRAMS = 64;
const NS_PER_MS = 1e6;

/**
 * UDP sockets of this thread: one epoll_wait tells which have datagrams, recvmmsg takes up to eight at once, and what
 * their receivers pass on is sent at once from where it was received. While all that came in was sent on, nothing waits
 * for the event loop, and the thread sleeps here until the next datagram; the event loop's own descriptor is among those it
 * sleeps on. Otherwise the event loop has its turn when there are no more datagrams, or after 64.
 */
export class BatchedSockets implements UdpSockets {
  readonly canSetDf = true;
  readonly standstill = createHistogram();
  readonly #libc: Libc;
  readonly #epoll: number;
  readonly #loopDescriptor: number;
  readonly #events = new NativeMemory(EVENTS * EPOLL_EVENT_BYTES);
  /** By descriptor. */
  readonly #sockets = new Map<number, BatchedSocket>();
  readonly #batch: Batch;
  readonly #errors: ErrorQueue;
  #running = false;
  #closed = false;
  #sleptMs = 0;
  /** When the last wait ended. */
  #lookedMs = 0;
  #turns = 0;

  /** @param loopDescriptor what this thread's event loop waits on */
  constructor(libc: Libc, loopDescriptor: number, drops: DropCounters, bugs: BugLog) {
    this.#libc = libc;
    this.#epoll = libc.epollCreate();
    this.#loopDescriptor = loopDescriptor;
    libc.epollAdd(this.#epoll, loopDescriptor);
    this.#batch = new Batch(libc, drops, bugs);
    this.#errors = new ErrorQueue(libc, bugs);
  }

  async open(options: UdpSocketOptions): Promise<UdpSocket> {
    const libc = this.#libc;
    const ipv4 = ipv4ToNumber(options.address);
    const family = ipv4 < 0 ? AF_INET6 : AF_INET;
    const descriptor = libc.socket(family);
    try {
      if (ipv4 < 0) libc.setOption(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      if (options.reusePort === true) libc.setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
      if (options.receiveBufferBytes !== undefined) {
        libc.setOption(descriptor, SOL_SOCKET, SO_RCVBUF, options.receiveBufferBytes);
      }
      libc.setOption(descriptor, SOL_SOCKET, SO_SNDBUF, options.sendQueueMaxBytes);
      if (options.onIcmp !== undefined) {
        if (ipv4 < 0) libc.setOption(descriptor, IPPROTO_IPV6, IPV6_RECVERR, 1);
        else libc.setOption(descriptor, IPPROTO_IP, IP_RECVERR, 1);
      }
      this.#batch.bind(descriptor, options.address, options.port);
      libc.epollAdd(this.#epoll, descriptor);
    } catch (thrown) {
      libc.close(descriptor);
      throw thrown;
    }
    const port = options.port === 0 ? libc.boundPort(descriptor) : options.port;
    const socket = new BatchedSocket(descriptor, family, port, options, this.#batch, this.#close);
    this.#sockets.set(descriptor, socket);
    if (!this.#running) {
      this.#running = true;
      this.#lookedMs = performance.now();
      setImmediate(this.#turn);
    }
    return socket;
  }

  get turn(): number {
    return this.#turns;
  }

  get sleptMs(): number {
    return this.#sleptMs;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of this.#sockets.values()) await socket.close();
    this.#libc.close(this.#epoll);
  }

  readonly #close = (descriptor: number): void => {
    this.#sockets.delete(descriptor);
    this.#libc.close(descriptor);
  };

  readonly #turn = (): void => {
    if (this.#sockets.size === 0) {
      this.#running = false;
      return;
    }
    // Before anything that could throw: a receiver's bug must not end the turns.
    setImmediate(this.#turn);
    this.#turns = (this.#turns + 1) | 0;
    const { address } = this.#events;
    let now = performance.now();
    const end = now + TURN_MS;
    let looked = this.#lookedMs;
    let sleptMs = 0;
    let standstillMs = 0;
    let sentOn = true;
    let left = TURN_DATAGRAMS;
    while (left > 0 && now < end) {
      standstillMs = Math.max(standstillMs, now - looked);
      const waitMs = sentOn ? Math.min(IDLE_MS, Math.ceil(end - now)) : 0;
      const ready = this.#libc.epollWait(this.#epoll, address, EVENTS, waitMs);
      looked = performance.now();
      sleptMs += looked - now;
      const sentBefore = this.#batch.sent;
      const received = this.#receive(ready);
      sentOn &&= this.#batch.sent - sentBefore === received;
      if (!sentOn) left -= received;
      now = performance.now();
    }
    this.#lookedMs = looked;
    this.#sleptMs += sleptMs;
    this.standstill.record(Math.max(1, Math.round(standstillMs * NS_PER_MS)));
  };

  /** Passes on what came in; returns how many datagrams, or enough for a turn when nothing came or the event loop has work. */
  #receive(ready: number): number {
    const { view } = this.#events;
    let count = 0;
    for (let i = 0; i < ready; i++) {
      const descriptor = view.getUint32(i * EPOLL_EVENT_BYTES + EPOLL_DATA_OFFSET, true);
      const socket = this.#sockets.get(descriptor);
      // First, because an error that waits fails the next call on the socket.
      if (socket !== undefined && (view.getUint32(i * EPOLL_EVENT_BYTES, true) & EPOLLERR) !== 0) {
        this.#errors.drain(descriptor, socket);
      }
      if (socket !== undefined) count += this.#batch.receive(descriptor, socket);
      else if (descriptor === this.#loopDescriptor) count += TURN_DATAGRAMS;
    }
    return count > 0 && this.#sockets.size > 0 ? count : TURN_DATAGRAMS;
  }
}

class BatchedSocket implements UdpSocket {
  readonly port: number;
  readonly onDatagram: OnDatagram;
  readonly onIcmp: OnIcmp | undefined;
  readonly #descriptor: number;
  readonly #family: number;
  readonly #batch: Batch;
  readonly #onClose: (descriptor: number) => void;
  #open = true;

  constructor(
    descriptor: number,
    family: number,
    port: number,
    { onDatagram, onIcmp }: UdpSocketOptions,
    batch: Batch,
    onClose: (descriptor: number) => void,
  ) {
    this.#descriptor = descriptor;
    this.#family = family;
    this.port = port;
    this.onDatagram = onDatagram;
    this.onIcmp = onIcmp;
    this.#batch = batch;
    this.#onClose = onClose;
  }

  get open(): boolean {
    return this.#open;
  }

  send(buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void {
    if (this.#open) this.#batch.send(this.#descriptor, buffer, start, end, to, port);
  }

  sendWithDf(buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void {
    if (this.#open) this.#batch.sendWithDf(this.#descriptor, this.#family, buffer, start, end, to, port);
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
    if (!this.#open) return;
    this.#batch.sendFramed(this.#descriptor, header, headerBytes, data, dataBytes, paddingBytes, to, port);
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#onClose(this.#descriptor);
  }
}
