import { AF_INET, AF_INET6 } from './libc.ts';
import { NativeMemory } from './native-memory.ts';

/** Offsets in `struct mmsghdr`, `struct iovec`, `struct sockaddr_in` and `sockaddr_in6` of 64-bit Linux. */
const MESSAGE = { bytes: 64, name: 0, nameBytes: 8, vector: 16, vectorCount: 24, received: 56 };
const VECTOR_BYTES = 16;
const NAME = { bytes: 32, family: 0, port: 2, ipv4: 4, ipv6: 8 };
const NAME_BYTES_IPV4 = 16;
const NAME_BYTES_IPV6 = 28;

/**
 * An array of `struct mmsghdr` for recvmmsg, each with an address and the memory of its bytes. All of it is written with
 * numbers only, so that a batch allocates nothing.
 */
export class MessageVector {
  readonly count: number;
  readonly #memory: NativeMemory;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #vectors: number;
  readonly #names: number;

  constructor(count: number) {
    this.count = count;
    this.#vectors = count * MESSAGE.bytes;
    this.#names = this.#vectors + count * VECTOR_BYTES;
    this.#memory = new NativeMemory(this.#names + count * NAME.bytes);
    this.#words = new Uint32Array(this.#memory.buffer);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    for (let i = 0; i < count; i++) {
      const message = i * MESSAGE.bytes;
      this.#pointer(message + MESSAGE.name, this.nameAddress(i));
      this.#pointer(message + MESSAGE.vector, this.#memory.address + this.#vectors + i * VECTOR_BYTES);
      this.#words[(message + MESSAGE.vectorCount) >> 2] = 1;
    }
  }

  /** Where message `i` begins. */
  address(i: number): number {
    return this.#memory.address + i * MESSAGE.bytes;
  }

  nameAddress(i: number): number {
    return this.#memory.address + this.#names + i * NAME.bytes;
  }

  /** Points message `i` at the memory of its bytes; whoever owns it keeps it alive. */
  setData(i: number, address: number, bytes: number): void {
    const offset = this.#vectors + i * VECTOR_BYTES;
    this.#pointer(offset, address);
    this.#words[(offset + 8) >> 2] = bytes;
  }

  /** Makes room for the sender's address, whose size the system overwrites with each datagram. */
  expectName(i: number): void {
    this.#words[(i * MESSAGE.bytes + MESSAGE.nameBytes) >> 2] = NAME.bytes;
  }

  /** Bytes of the datagram that was received. */
  receivedBytes(i: number): number {
    return this.#words[(i * MESSAGE.bytes + MESSAGE.received) >> 2] as number;
  }

  /** Writes an IPv4 address; returns its size. */
  setIpv4(i: number, ip: number, port: number): number {
    const at = this.#names + i * NAME.bytes;
    const bytes = this.#bytes;
    this.#words[at >> 2] = AF_INET | ((port >> 8) << 16) | ((port & 255) << 24);
    bytes[at + NAME.ipv4] = ip >>> 24;
    bytes[at + NAME.ipv4 + 1] = ip >>> 16;
    bytes[at + NAME.ipv4 + 2] = ip >>> 8;
    bytes[at + NAME.ipv4 + 3] = ip;
    this.#words[(i * MESSAGE.bytes + MESSAGE.nameBytes) >> 2] = NAME_BYTES_IPV4;
    return NAME_BYTES_IPV4;
  }

  /** Writes an IPv6 address, sixteen bytes without a scope; returns its size. */
  setIpv6(i: number, address: Uint8Array, port: number): number {
    const at = this.#names + i * NAME.bytes;
    this.#words[at >> 2] = AF_INET6 | ((port >> 8) << 16) | ((port & 255) << 24);
    this.#words[(at >> 2) + 1] = 0;
    this.#bytes.set(address, at + NAME.ipv6);
    this.#words[(at + NAME.ipv6 + 16) >> 2] = 0;
    this.#words[(i * MESSAGE.bytes + MESSAGE.nameBytes) >> 2] = NAME_BYTES_IPV6;
    return NAME_BYTES_IPV6;
  }

  isIpv4(i: number): boolean {
    return this.#bytes[this.#names + i * NAME.bytes + NAME.family] === AF_INET;
  }

  port(i: number): number {
    const at = this.#names + i * NAME.bytes + NAME.port;
    return ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number);
  }

  ipv4(i: number): number {
    const at = this.#names + i * NAME.bytes + NAME.ipv4;
    const bytes = this.#bytes;
    return (
      (((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number)) >>>
      0
    );
  }

  /** The sixteen bytes of an IPv6 address; a view that the next batch overwrites. */
  ipv6(i: number): Uint8Array {
    const at = this.#names + i * NAME.bytes + NAME.ipv6;
    return this.#bytes.subarray(at, at + 16);
  }

  #pointer(offset: number, address: number): void {
    this.#words[offset >> 2] = address;
    this.#words[(offset >> 2) + 1] = address / 0x1_0000_0000;
  }
}
