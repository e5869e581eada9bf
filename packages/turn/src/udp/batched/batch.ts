import type { BugLog } from '../../bug-log.ts';
import type { DropCounters } from '../../relay/relay.ts';
import { ipv4ToNumber, ipv6ToBytes, ipv6ToText } from '../../stun/index.ts';
import type { HostAddress, OnDatagram } from '../udp-socket.ts';
import {
  AF_INET,
  EAGAIN,
  ENOBUFS,
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  type Libc,
  MSG_DONTWAIT,
  NativeMemory,
  PMTUDISC_DO,
} from './libc.ts';
import { MessageVector } from './message-vector.ts';

/** Room for datagrams. */
const BATCH = 64;
/** Datagrams received by one call, and those that wait for each other to be sent: more save little and delay the first. */
const RECEIVED_AT_ONCE = 8;
const SENT_AT_ONCE = 4;
/** Largest datagram of UDP. */
const DATAGRAM_MAX_BYTES = 65_535;
/** Room of one datagram, not a power of two, so that the beginnings of datagrams do not share cache lines' sets. */
const SLOT_BYTES = DATAGRAM_MAX_BYTES + 1 + 320;
const HEADER_MAX_BYTES = 64;
/** Stands in for a text that is no address; the system refuses to send there. */
const NO_ADDRESS = new Uint8Array(16);

/** Who gets a socket's datagrams. */
interface Receiver {
  readonly open: boolean;
  readonly onDatagram: OnDatagram;
}

/** The ring that datagrams are received into, and those that wait to be sent on from there. */
export class Batch {
  readonly #libc: Libc;
  readonly #drops: DropCounters;
  readonly #bugs: BugLog;
  readonly #received = new MessageVector(BATCH);
  readonly #outgoing = new MessageVector(BATCH);
  /** Sends of what does not lie in the ring. */
  readonly #single = new MessageVector(1);
  readonly #ring = new NativeMemory(BATCH * SLOT_BYTES);
  readonly #slots: Buffer[] = [];
  readonly #headers = new NativeMemory(BATCH * HEADER_MAX_BYTES);
  readonly #headerBytes = Buffer.from(this.#headers.buffer);
  readonly #scratch = new NativeMemory(DATAGRAM_MAX_BYTES + HEADER_MAX_BYTES);
  readonly #scratchBytes = Buffer.from(this.#scratch.buffer);
  readonly #zeros = new NativeMemory(8);
  /** Socket of each waiting datagram. */
  readonly #targets = new Int32Array(BATCH);
  #waiting = 0;
  /** Slots of the ring that are taken, by datagrams handed over or waiting. */
  #filled = 0;
  /** True while a receiver has a datagram of the ring. */
  #receiving = false;
  /** The last IPv6 sender: most datagrams in a row come from one. */
  readonly #lastIpv6 = Buffer.alloc(16);
  #lastIpv6Text = ipv6ToText(this.#lastIpv6);

  constructor(libc: Libc, drops: DropCounters, bugs: BugLog) {
    this.#libc = libc;
    this.#drops = drops;
    this.#bugs = bugs;
    for (let i = 0; i < BATCH; i++) {
      this.#slots.push(Buffer.from(this.#ring.buffer, i * SLOT_BYTES, SLOT_BYTES));
      this.#received.setPart(i, 0, this.#ring.address + i * SLOT_BYTES, DATAGRAM_MAX_BYTES);
      this.#received.setPartCount(i, 1);
      this.#received.expectName(i);
    }
  }

  /** Throws the system's error. */
  bind(descriptor: number, address: string, port: number): void {
    const ip = ipv4ToNumber(address);
    const bytes = ip < 0 ? ipv6ToBytes(address) : undefined;
    if (ip < 0 && bytes === undefined) throw new RangeError(`not an IP address: ${address}`);
    const nameBytes = bytes === undefined ? this.#single.setIpv4(0, ip, port) : this.#single.setIpv6(0, bytes, port);
    this.#libc.bind(descriptor, this.#single.nameAddress(0), nameBytes);
  }

  /** Takes what a socket has, as far as there is room, and hands it over. Returns how many datagrams. */
  receive(descriptor: number, socket: Receiver): number {
    if (this.#filled === BATCH) this.flush();
    const first = this.#filled;
    while (this.#receiveSome(descriptor, socket) === RECEIVED_AT_ONCE && socket.open && this.#filled < BATCH);
    return this.#filled - first;
  }

  #receiveSome(descriptor: number, socket: Receiver): number {
    const first = this.#filled;
    const received = this.#received;
    const most = Math.min(RECEIVED_AT_ONCE, BATCH - first);
    const count = this.#libc.recvmmsg(descriptor, received.address(first), most, MSG_DONTWAIT, 0);
    if (count <= 0) return 0;
    this.#filled = first + count;
    this.#receiving = true;
    for (let i = first; i < first + count; i++) {
      received.expectName(i);
      // An earlier datagram of the batch may have closed it.
      if (!socket.open) continue;
      const host = received.isIpv4(i) ? received.ipv4(i) : this.#ipv6Text(i);
      try {
        socket.onDatagram(this.#slots[i] as Buffer, received.receivedBytes(i), host, received.port(i));
      } catch (thrown) {
        this.#bugs.report(thrown);
      }
    }
    this.#receiving = false;
    return count;
  }

  send(descriptor: number, buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void {
    if (!this.#receiving || buffer.buffer !== this.#ring.buffer) {
      this.#sendCopy(descriptor, buffer, start, end, to, port);
      return;
    }
    const i = this.#queue(descriptor, to, port);
    this.#outgoing.setPart(i, 0, this.#ring.address + buffer.byteOffset + start, end - start);
    this.#outgoing.setPartCount(i, 1);
  }

  /** Sends at once, with the DF bit set. Linux has no such flag for one message: the socket has it meanwhile. */
  sendWithDf(
    descriptor: number,
    family: number,
    buffer: Buffer,
    start: number,
    end: number,
    to: HostAddress,
    port: number,
  ): void {
    const level = family === AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    const option = family === AF_INET ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER;
    // What waits for this socket may be fragmented.
    this.sendWaiting();
    const usual = this.#libc.option(descriptor, level, option);
    this.#libc.setOption(descriptor, level, option, PMTUDISC_DO);
    this.#sendCopy(descriptor, buffer, start, end, to, port);
    this.#libc.setOption(descriptor, level, option, usual);
  }

  sendFramed(
    descriptor: number,
    header: Buffer,
    headerBytes: number,
    data: Buffer,
    dataBytes: number,
    paddingBytes: number,
    to: HostAddress,
    port: number,
  ): void {
    if (!this.#receiving || data.buffer !== this.#ring.buffer) {
      if (headerBytes + dataBytes + paddingBytes > this.#scratchBytes.length) {
        this.#drops.sendFailed++;
        return;
      }
      header.copy(this.#scratchBytes, 0, 0, headerBytes);
      const dataEnd = headerBytes + data.copy(this.#scratchBytes, headerBytes, 0, dataBytes);
      this.#scratchBytes.fill(0, dataEnd, dataEnd + paddingBytes);
      this.#sendScratch(descriptor, dataEnd + paddingBytes, to, port);
      return;
    }
    const i = this.#queue(descriptor, to, port);
    header.copy(this.#headerBytes, i * HEADER_MAX_BYTES, 0, headerBytes);
    this.#outgoing.setPart(i, 0, this.#headers.address + i * HEADER_MAX_BYTES, headerBytes);
    this.#outgoing.setPart(i, 1, this.#ring.address + data.byteOffset, dataBytes);
    if (paddingBytes > 0) this.#outgoing.setPart(i, 2, this.#zeros.address, paddingBytes);
    this.#outgoing.setPartCount(i, paddingBytes > 0 ? 3 : 2);
  }

  /** Sends all that waits; the ring is free again afterwards. */
  flush(): void {
    this.sendWaiting();
    this.#filled = 0;
  }

  /** Sends all that waits. What goes out in a row on one socket is one system call. */
  sendWaiting(): void {
    const count = this.#waiting;
    this.#waiting = 0;
    let i = 0;
    while (i < count) {
      const descriptor = this.#targets[i] as number;
      let end = i + 1;
      while (end < count && this.#targets[end] === descriptor) end++;
      while (i < end) {
        const address = this.#outgoing.address(i);
        let sent = this.#libc.sendmmsg(descriptor, address, end - i, MSG_DONTWAIT);
        if (sent < 0 && !this.#isFull()) sent = this.#libc.sendmmsg(descriptor, address, end - i, MSG_DONTWAIT);
        i += sent > 0 ? sent : this.#failed(end - i);
      }
    }
  }

  /** Counts what could not be sent: all that waits for the socket when it is full, otherwise the one at fault. */
  #failed(waiting: number): number {
    const errno = this.#libc.errno();
    const lost = errno === EAGAIN ? waiting : 1;
    if (this.#isFull()) this.#drops.sendQueueFull += lost;
    else this.#drops.sendFailed++;
    return lost;
  }

  /**
   * Whether the last send failed because the socket (EAGAIN) or the interface (ENOBUFS) is full. Any other is tried once
   * more: the ICMP error of an earlier datagram fails the next call, which also takes it off the socket.
   */
  #isFull(): boolean {
    const errno = this.#libc.errno();
    return errno === EAGAIN || errno === ENOBUFS;
  }

  #queue(descriptor: number, to: HostAddress, port: number): number {
    if (this.#waiting === SENT_AT_ONCE) this.sendWaiting();
    const i = this.#waiting++;
    this.#targets[i] = descriptor;
    setName(this.#outgoing, i, to, port);
    return i;
  }

  #sendCopy(descriptor: number, buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void {
    if (end - start > this.#scratchBytes.length) {
      this.#drops.sendFailed++;
      return;
    }
    buffer.copy(this.#scratchBytes, 0, start, end);
    this.#sendScratch(descriptor, end - start, to, port);
  }

  #sendScratch(descriptor: number, bytes: number, to: HostAddress, port: number): void {
    const nameBytes = setName(this.#single, 0, to, port);
    const name = this.#single.nameAddress(0);
    const { address } = this.#scratch;
    let sent = this.#libc.sendto(descriptor, address, bytes, MSG_DONTWAIT, name, nameBytes);
    if (sent < 0 && !this.#isFull()) {
      sent = this.#libc.sendto(descriptor, address, bytes, MSG_DONTWAIT, name, nameBytes);
    }
    if (sent < 0) this.#failed(1);
  }

  #ipv6Text(i: number): string {
    const bytes = this.#received.ipv6(i);
    if (!this.#lastIpv6.equals(bytes)) {
      this.#lastIpv6.set(bytes);
      this.#lastIpv6Text = ipv6ToText(bytes);
    }
    return this.#lastIpv6Text;
  }
}

/** Writes the address that message `i` goes to; returns its size. */
function setName(messages: MessageVector, i: number, to: HostAddress, port: number): number {
  return typeof to.key === 'number'
    ? messages.setIpv4(i, to.key, port)
    : messages.setIpv6(i, to.bytes ?? NO_ADDRESS, port);
}
