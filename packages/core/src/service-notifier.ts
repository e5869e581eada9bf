import { getSystemErrorName } from 'node:util';
import type { Clock, Timer } from './clock.ts';
import { systemClock } from './clock.ts';
import { type NotifyTarget, notifyTarget } from './config/notify-target.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
/** MSG_DONTWAIT | MSG_NOSIGNAL: what waits for the service manager holds up media. */
const SEND_FLAGS = 0x40 | 0x4000;

/** How soon a new status is told. */
const STATUS_MS = 1_000;

/** Sends a datagram, or throws the system's error. */
export type SendDatagram = (text: string) => void;

/**
 * Tells the service manager how this process is (sd_notify(3)). Each message says all of it, and comes again when there is
 * something new and at half of the watchdog's time, from the event loop: one that is lost does not matter, and none comes
 * from a loop that hangs.
 */
export class ServiceNotifier {
  readonly #send: SendDatagram;
  readonly #status: () => string | undefined;
  readonly #timers: Timer[];
  #state = '';
  #told: string | undefined;

  /** @param status one line about what the process does, for whoever looks at it */
  constructor(send: SendDatagram, watchdogMs: number | undefined, status: () => string | undefined, clock: Clock) {
    this.#send = send;
    this.#status = status;
    this.#timers = [clock.every(STATUS_MS, () => this.#status() !== this.#told && this.#tell())];
    if (watchdogMs !== undefined) this.#timers.push(clock.every(watchdogMs / 2, () => this.#tell()));
  }

  /** It serves. */
  ready(): void {
    this.#state = 'READY=1\n';
    this.#tell();
  }

  /** It drains and will end. */
  stopping(): void {
    this.#state = 'STOPPING=1\n';
    this.#tell();
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #tell(): void {
    this.#told = this.#status();
    const status = this.#told?.replaceAll('\n', ' ');
    try {
      this.#send(`${this.#state}WATCHDOG=1\n${status === undefined ? '' : `STATUS=${status}\n`}`);
    } catch {
      // Said again with the next beat; a service manager that hears nothing says so itself.
    }
  }
}

/**
 * A notifier for the service manager that started this process; undefined where none did. Throws where its socket
 * cannot be spoken to at all.
 */
export async function openServiceNotifier(
  status: () => string | undefined,
  target: NotifyTarget | undefined = notifyTarget(),
  clock: Clock = systemClock,
): Promise<ServiceNotifier | undefined> {
  return target && new ServiceNotifier(await connectDatagram(target.socket), target.watchdogMs, status, clock);
}

/** Node has no datagrams of Unix sockets: these are the C library's. Loaded only where somebody listens. */
async function connectDatagram(path: string): Promise<SendDatagram> {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const open = libc.func('int socket(int, int, int)');
  const connect = libc.func('int connect(int, const void *, uint)');
  const send = libc.func('long send(int, const void *, size_t, int)');
  const check = (call: string, result: number): number => {
    if (result >= 0) return result;
    const code = getSystemErrorName(-koffi.errno());
    throw Object.assign(new Error(`${call} ${path}: ${code}`), { code, syscall: call });
  };
  const socket = check('socket', open(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0));
  const name = unixAddress(path);
  check('connect', connect(socket, name, name.length));
  return (text) => {
    const datagram = Buffer.from(text);
    check('send', send(socket, datagram, datagram.length, SEND_FLAGS));
  };
}

/** `struct sockaddr_un`: the family in the machine's byte order, then the path with its end, or NUL and the abstract name. */
function unixAddress(path: string): Buffer {
  const family = Buffer.from(new Uint16Array([AF_UNIX]).buffer);
  return Buffer.concat([family, Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`)]);
}
