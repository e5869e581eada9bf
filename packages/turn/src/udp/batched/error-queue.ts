import type { BugLog } from '../../bug-log.ts';
import { ipv6ToText } from '../../stun/index.ts';
import type { OnIcmp } from '../udp-socket.ts';
import { AF_INET, type Libc, MSG_DONTWAIT, MSG_ERRQUEUE } from './libc.ts';
import { NativeMemory } from './native-memory.ts';

/** Offsets of one `struct mmsghdr`, the address it points at, and its control messages: one memory, one behind the other. */
const MESSAGE = { name: 0, nameBytes: 8, control: 32, controlBytes: 40, bytes: 64 };
const NAME = { at: 64, bytes: 32, port: 2, ipv4: 4, ipv6: 8 };
/** The first control message: `struct cmsghdr`, then `struct sock_extended_err` and who sent the error. */
const CONTROL = { at: 96, bytes: 128, headerBytes: 16 };
const ERROR = { bytes: 16, origin: 4, type: 5, code: 6, info: 8 };
const ORIGIN_ICMP = 2;
const ORIGIN_ICMP6 = 3;
/** Destination unreachable and time exceeded; over IPv6 packet too big as well (RFC 8656 section 11.5). */
const TYPES_IPV4: readonly number[] = [3, 11];
const TYPES_IPV6: readonly number[] = [1, 2, 3];
const FRAGMENTATION_NEEDED = { type: 3, code: 4 };
const PACKET_TOO_BIG = 2;
/** Errors of a socket taken in one turn. */
const TAKEN_AT_ONCE = 64;

/**
 * Reads what Linux keeps of the ICMP errors that a socket's datagrams brought about (IP_RECVERR, MSG_ERRQUEUE): each with
 * the address and port the datagram was sent to.
 */
export class ErrorQueue {
  readonly #libc: Libc;
  readonly #bugs: BugLog;
  readonly #memory = new NativeMemory(CONTROL.at + CONTROL.bytes);

  constructor(libc: Libc, bugs: BugLog) {
    this.#libc = libc;
    this.#bugs = bugs;
  }

  /** Takes what waits in a socket's queue and hands over the ICMP errors in it. */
  drain(descriptor: number, socket: { readonly open: boolean; readonly onIcmp: OnIcmp | undefined }): void {
    for (let taken = 0; taken < TAKEN_AT_ONCE && socket.open && this.#take(descriptor); taken++) {
      try {
        this.#handOver(socket.onIcmp);
      } catch (thrown) {
        this.#bugs.report(thrown);
      }
    }
  }

  #take(descriptor: number): boolean {
    const { view, address } = this.#memory;
    view.setBigUint64(MESSAGE.name, BigInt(address + NAME.at), true);
    view.setUint32(MESSAGE.nameBytes, NAME.bytes, true);
    view.setBigUint64(MESSAGE.control, BigInt(address + CONTROL.at), true);
    view.setBigUint64(MESSAGE.controlBytes, BigInt(CONTROL.bytes), true);
    return this.#libc.recvmmsg(descriptor, address, 1, MSG_ERRQUEUE | MSG_DONTWAIT, 0) === 1;
  }

  #handOver(onIcmp: OnIcmp | undefined): void {
    const { view } = this.#memory;
    // Only one kind of control message has been asked for.
    if (onIcmp === undefined || view.getUint32(MESSAGE.controlBytes, true) < CONTROL.headerBytes + ERROR.bytes) return;
    const error = CONTROL.at + CONTROL.headerBytes;
    const origin = view.getUint8(error + ERROR.origin);
    const type = view.getUint8(error + ERROR.type);
    const code = view.getUint8(error + ERROR.code);
    const info = view.getUint32(error + ERROR.info, true);
    const port = view.getUint16(NAME.at + NAME.port, false);
    if (origin === ORIGIN_ICMP && TYPES_IPV4.includes(type) && this.#family() === AF_INET) {
      const tooBig = type === FRAGMENTATION_NEEDED.type && code === FRAGMENTATION_NEEDED.code;
      onIcmp(view.getUint32(NAME.at + NAME.ipv4, false), port, { type, code, data: tooBig ? info : 0 });
    } else if (origin === ORIGIN_ICMP6 && TYPES_IPV6.includes(type)) {
      const host = ipv6ToText(new Uint8Array(this.#memory.buffer, NAME.at + NAME.ipv6, 16));
      onIcmp(host, port, { type, code, data: type === PACKET_TOO_BIG ? info : 0 });
    }
  }

  #family(): number {
    return this.#memory.view.getUint16(NAME.at, true);
  }
}
