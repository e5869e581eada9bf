import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { NativeMemory } from './native-memory.ts';

/** Constants of Linux, the same on every architecture that Node has a build for. */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const MSG_DONTWAIT = 0x40;
export const MSG_ERRQUEUE = 0x2000;
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const IPPROTO_IP = 0;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVERR = 11;
export const IPPROTO_IPV6 = 41;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
/** Value of IP_MTU_DISCOVER and IPV6_MTU_DISCOVER: every datagram with DF, EMSGSIZE for what the path does not take. */
export const PMTUDISC_DO = 2;
const SOCK_DGRAM = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const AF_UNIX = 1;
const EPOLL_CLOEXEC = SOCK_CLOEXEC;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
/** Reported whether asked for or not. */
export const EPOLLERR = 8;
export const EAGAIN = 11;
export const ENOBUFS = 105;
const EINTR = 4;

/** Bytes of `struct epoll_event`: packed on x86-64 alone. */
export const EPOLL_EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
/** Where its data begins. */
export const EPOLL_DATA_OFFSET = process.arch === 'x64' ? 4 : 8;

/**
 * The C library's sockets, called where they are. Addresses are plain numbers: whoever passes one keeps the memory
 * behind it alive until the call returns, and nothing here keeps it longer. Only for 64-bit little-endian Linux.
 */
export class Libc {
  /** `int recvmmsg(int socket, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)` */
  readonly recvmmsg: (socket: number, messages: number, count: number, flags: number, timeout: number) => number;
  readonly sendto: (
    socket: number,
    data: number,
    bytes: number,
    flags: number,
    name: number,
    nameBytes: number,
  ) => number;
  readonly epollWait: (epoll: number, events: number, count: number, timeoutMs: number) => number;
  readonly #socket: (family: number, type: number, protocol: number) => number;
  readonly #bind: (socket: number, name: number, nameBytes: number) => number;
  readonly #getsockname: (socket: number, name: number, nameBytes: number) => number;
  readonly #setsockopt: (socket: number, level: number, option: number, value: number, bytes: number) => number;
  readonly #getsockopt: (socket: number, level: number, option: number, value: number, bytes: number) => number;
  readonly #close: (descriptor: number) => number;
  readonly #epollCreate: (flags: number) => number;
  readonly #epollCtl: (epoll: number, operation: number, descriptor: number, event: number) => number;
  readonly #socketpair: (family: number, type: number, protocol: number, pair: number) => number;
  readonly #small = new NativeMemory(64);

  /** Throws where the machine is none of those, or a function is missing. */
  constructor() {
    const bigEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 0;
    if (process.platform !== 'linux' || koffi.sizeof('void *') !== 8 || bigEndian) {
      throw new Error(`no batched sockets on ${process.platform} ${process.arch}`);
    }
    const program = koffi.load(null);
    this.recvmmsg = program.func('int recvmmsg(int, uintptr_t, uint, int, uintptr_t)');
    this.sendto = program.func('long sendto(int, uintptr_t, size_t, int, uintptr_t, uint)');
    this.epollWait = program.func('int epoll_wait(int, uintptr_t, int, int)');
    this.#socket = program.func('int socket(int, int, int)');
    this.#bind = program.func('int bind(int, uintptr_t, uint)');
    this.#getsockname = program.func('int getsockname(int, uintptr_t, uintptr_t)');
    this.#setsockopt = program.func('int setsockopt(int, int, int, uintptr_t, uint)');
    this.#getsockopt = program.func('int getsockopt(int, int, int, uintptr_t, uintptr_t)');
    this.#close = program.func('int close(int)');
    this.#epollCreate = program.func('int epoll_create1(int)');
    this.#epollCtl = program.func('int epoll_ctl(int, int, int, uintptr_t)');
    this.#socketpair = program.func('int socketpair(int, int, int, uintptr_t)');
  }

  /** Number of the error of the last call that failed. */
  errno(): number {
    return koffi.errno();
  }

  /** A non-blocking UDP socket. Throws the system's error, as all that follow do. */
  socket(family: number): number {
    return this.#check('socket', this.#socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }

  bind(socket: number, name: number, nameBytes: number): void {
    this.#check('bind', this.#bind(socket, name, nameBytes));
  }

  /** The port that a socket is bound to. */
  boundPort(socket: number): number {
    // Both families have it in bytes 2 and 3; the size stands behind the name.
    this.#small.view.setUint32(32, 32, true);
    this.#check('getsockname', this.#getsockname(socket, this.#small.address, this.#small.address + 32));
    return this.#small.view.getUint16(2, false);
  }

  setOption(socket: number, level: number, option: number, value: number): void {
    this.#small.view.setInt32(0, value, true);
    this.#check('setsockopt', this.#setsockopt(socket, level, option, this.#small.address, 4));
  }

  option(socket: number, level: number, option: number): number {
    this.#small.view.setUint32(32, 4, true);
    const { address } = this.#small;
    this.#check('getsockopt', this.#getsockopt(socket, level, option, address, address + 32));
    return this.#small.view.getInt32(0, true);
  }

  close(descriptor: number): void {
    // Linux has closed it even when it reports an interruption.
    if (this.#close(descriptor) < 0 && this.errno() !== EINTR) this.#check('close', -1);
  }

  epollCreate(): number {
    return this.#check('epoll_create1', this.#epollCreate(EPOLL_CLOEXEC));
  }

  /** Watches a descriptor for input; its number comes back as the event's data. */
  epollAdd(epoll: number, descriptor: number): void {
    this.#small.view.setUint32(0, EPOLLIN, true);
    this.#small.view.setUint32(EPOLL_DATA_OFFSET, descriptor, true);
    this.#small.view.setUint32(EPOLL_DATA_OFFSET + 4, 0, true);
    this.#check('epoll_ctl', this.#epollCtl(epoll, EPOLL_CTL_ADD, descriptor, this.#small.address));
  }

  epollDelete(epoll: number, descriptor: number): void {
    this.#check('epoll_ctl', this.#epollCtl(epoll, EPOLL_CTL_DEL, descriptor, this.#small.address));
  }

  /** Two connected stream sockets. */
  socketPair(): [number, number] {
    this.#check('socketpair', this.#socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, this.#small.address));
    return [this.#small.view.getInt32(0, true), this.#small.view.getInt32(4, true)];
  }

  #check(call: string, result: number): number {
    if (result >= 0) return result;
    const errno = this.errno();
    const code = getSystemErrorName(-errno);
    throw Object.assign(new Error(`${call}: ${code}`), { code, errno: -errno, syscall: call });
  }
}
