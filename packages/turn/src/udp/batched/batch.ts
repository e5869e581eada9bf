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
  PMTUDISC_DO,
} from './libc.ts';
import { MessageVector } from './message-vector.ts';
import { NativeMemory } from './native-memory.ts';

/** Datagrams received by one call: more save little, and the first waits for all of them. */
const RECEIVED_AT_ONCE = 8;
/** Datagrams of one socket after which others have their turn. */
const SOCKET_DATAGRAMS = 64;
/** Largest datagram of UDP. */
const DATAGRAM_MAX_BYTES = 65_535;
/** Room before a received datagram for the header that it is sent on with. */
const HEADER_MAX_BYTES = 64;
/** Room of one datagram, header and padding; no power of two, so that their beginnings do not share cache lines' sets. */
const SLOT_BYTES = HEADER_MAX_BYTES + DATAGRAM_MAX_BYTES + 1 + 320;
/** Stands in for a text that is no address; the system refuses to send there. */
const NO_ADDRESS = new Uint8Array(16);

/** Who gets a socket's datagrams. */
interface Receiver {
  readonly open: boolean;
  readonly onDatagram: OnDatagram;
}

/** What datagrams are received into, several at once, and sent on from, one by one and at once. */
export class Batch {
  /** Datagrams given to the system to send so far. */
  sent = 0;
  readonly #libc: Libc;
  readonly #drops: DropCounters;
  readonly #bugs: BugLog;
  readonly #received = new MessageVector(RECEIVED_AT_ONCE);
  readonly #name = new MessageVector(1);
  readonly #memory = new NativeMemory(RECEIVED_AT_ONCE * SLOT_BYTES);
  readonly #memoryBytes = Buffer.from(this.#memory.buffer);
  readonly #slots: Buffer[] = [];
  /** Sends of what was not received just now. */
  readonly #scratch = new NativeMemory(HEADER_MAX_BYTES + DATAGRAM_MAX_BYTES);
  readonly #scratchBytes = Buffer.from(this.#scratch.buffer);
  /** The datagram that a receiver has now. */
  #current: Buffer | undefined;
  /** The last IPv6 sender: most datagrams in a row come from one. */
  readonly #lastIpv6 = Buffer.alloc(16);
  #lastIpv6Text = ipv6ToText(this.#lastIpv6);

  constructor(libc: Libc, drops: DropCounters, bugs: BugLog) {
    this.#libc = libc;
    this.#drops = drops;
    this.#bugs = bugs;
    for (let i = 0; i < RECEIVED_AT_ONCE; i++) {
      const offset = i * SLOT_BYTES + HEADER_MAX_BYTES;
      this.#slots.push(Buffer.from(this.#memory.buffer, offset, SLOT_BYTES - HEADER_MAX_BYTES));
      this.#received.setData(i, this.#memory.address + offset, DATAGRAM_MAX_BYTES);
      this.#received.expectName(i);
    }
  }

  /** Throws the system's error. */
  bind(descriptor: number, address: string, port: number): void {
    const ip = ipv4ToNumber(address);
    const bytes = ip < 0 ? ipv6ToBytes(address) : undefined;
    if (ip < 0 && bytes === undefined) throw new RangeError(`not an IP address: ${address}`);
    const nameBytes = bytes === undefined ? this.#name.setIpv4(0, ip, port) : this.#name.setIpv6(0, bytes, port);
    this.#libc.bind(descriptor, this.#name.nameAddress(0), nameBytes);
  }

  /** Takes what a socket has and hands it over. Returns how many datagrams. */
  receive(descriptor: number, socket: Receiver): number {
    let total = 0;
    while (total < SOCKET_DATAGRAMS && socket.open) {
      const count = this.#receiveSome(descriptor, socket);
      total += count;
      if (count < RECEIVED_AT_ONCE) break;
    }
    return total;
  }

  #receiveSome(descriptor: number, socket: Receiver): number {
    const received = this.#received;
    const count = this.#libc.recvmmsg(descriptor, received.address(0), RECEIVED_AT_ONCE, MSG_DONTWAIT, 0);
    for (let i = 0; i < count; i++) {
      received.expectName(i);
      // An earlier datagram of the batch may have closed it.
      if (!socket.open) continue;
      const host = received.isIpv4(i) ? received.ipv4(i) : this.#ipv6Text(i);
      const slot = this.#slots[i] as Buffer;
      this.#current = slot;
      try {
        socket.onDatagram(slot, received.receivedBytes(i), host, received.port(i));
      } catch (thrown) {
        this.#bugs.report(thrown);
      }
    }
    this.#current = undefined;
    return Math.max(count, 0);
  }

  /** Sends at once, and without a copy what a receiver has now. */
  send(descriptor: number, buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void {
    if (buffer.buffer === this.#memory.buffer) {
      this.#sendFrom(descriptor, this.#memory.address + buffer.byteOffset + start, end - start, to, port);
    } else if (end - start > this.#scratchBytes.length) {
      this.#drops.sendFailed++;
    } else {
      buffer.copy(this.#scratchBytes, 0, start, end);
      this.#sendFrom(descriptor, this.#scratch.address, end - start, to, port);
    }
  }

  /** Sends with the DF bit set. Linux has no such flag for one message: the socket has it meanwhile. */
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
    const usual = this.#libc.option(descriptor, level, option);
    this.#libc.setOption(descriptor, level, option, PMTUDISC_DO);
    this.send(descriptor, buffer, start, end, to, port);
    this.#libc.setOption(descriptor, level, option, usual);
  }

  /** Sends at once. What a receiver has now gets its header before it and its padding behind it, where nobody's bytes are. */
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
    const bytes = headerBytes + dataBytes + paddingBytes;
    if (data === this.#current) {
      const start = data.byteOffset - headerBytes;
      header.copy(this.#memoryBytes, start, 0, headerBytes);
      if (paddingBytes > 0) data.fill(0, dataBytes, dataBytes + paddingBytes);
      this.#sendFrom(descriptor, this.#memory.address + start, bytes, to, port);
    } else if (bytes > this.#scratchBytes.length) {
      this.#drops.sendFailed++;
    } else {
      header.copy(this.#scratchBytes, 0, 0, headerBytes);
      const dataEnd = headerBytes + data.copy(this.#scratchBytes, headerBytes, 0, dataBytes);
      this.#scratchBytes.fill(0, dataEnd, bytes);
      this.#sendFrom(descriptor, this.#scratch.address, bytes, to, port);
    }
  }

  /**
   * Hands a datagram to the system, or counts why not. A send that fails not because the socket (EAGAIN) or the
   * interface (ENOBUFS) is full is tried once more: the ICMP error of an earlier datagram fails the next call, which
   * also takes it off the socket.
   */
  #sendFrom(descriptor: number, address: number, bytes: number, to: HostAddress, port: number): void {
    this.sent = (this.sent + 1) | 0;
    const name = this.#name;
    const nameBytes =
      typeof to.key === 'number' ? name.setIpv4(0, to.key, port) : name.setIpv6(0, to.bytes ?? NO_ADDRESS, port);
    const nameAddress = name.nameAddress(0);
    for (
      let attempt = 0;
      this.#libc.sendto(descriptor, address, bytes, MSG_DONTWAIT, nameAddress, nameBytes) < 0;
      attempt++
    ) {
      const errno = this.#libc.errno();
      if (errno === EAGAIN || errno === ENOBUFS) {
        this.#drops.sendQueueFull++;
        return;
      }
      if (attempt === 1) {
        this.#drops.sendFailed++;
        return;
      }
    }
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
