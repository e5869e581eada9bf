import { sourceKey } from '@orama/core';
import type { TransportProtocol } from './client-transport.ts';

/** Sources told apart; a power of two. Two that fall on one place share its limits, which chance alone decides. */
const SLOTS = 65_536;
/** Time is kept in sixteenths of a millisecond, which an Int32 holds for 37 hours. */
const TICKS_PER_MS = 16;
/** A client that failed is known as one for so long. */
const FAILURE_TICKS = 60_000 * TICKS_PER_MS;

export interface SourceLimitOptions {
  /** Unauthenticated requests of one source: so many at once, then so many a second. */
  unauthenticatedRate: { burst: number; perSec: number };
  /** TCP connections of all sources together, and of one. */
  maxTcpConnections: number;
  maxTcpConnectionsPerSource: number;
}

/** What the workers of a node share of the limits; it can be sent to a thread. */
export interface SourceLimitMemory {
  /** By place: the time at which the source has its whole burst again. */
  readonly times: Int32Array<SharedArrayBuffer>;
  /** By place: until when the client is one that failed. */
  readonly failures: Int32Array<SharedArrayBuffer>;
  /** By place: open connections; one place more for their sum. */
  readonly connections: Int32Array<SharedArrayBuffer>;
  /** What places are chosen with, so that nobody can aim at somebody else's. */
  readonly seed: number;
}

/** Memory for a node whose limits nobody has used yet. */
export function sourceLimitMemory(seed: number): SourceLimitMemory {
  return {
    times: new Int32Array(new SharedArrayBuffer(SLOTS * 4)),
    failures: new Int32Array(new SharedArrayBuffer(SLOTS * 4)),
    connections: new Int32Array(new SharedArrayBuffer((SLOTS + 1) * 4)),
    seed,
  };
}

/**
 * Limits by source (an IPv4 address or an IPv6 /64) for a whole node, whichever worker a packet falls to. They live in memory
 * that the workers share and that has one size, so that forged addresses cost neither memory nor the service of others.
 */
export class SourceLimits {
  readonly #memory: SourceLimitMemory;
  readonly #options: SourceLimitOptions;
  readonly #ticksPerRequest: number;
  readonly #ticksOfBurst: number;

  constructor(options: SourceLimitOptions, memory: SourceLimitMemory) {
    this.#options = options;
    this.#memory = memory;
    const { burst, perSec } = options.unauthenticatedRate;
    this.#ticksPerRequest = Math.max(1, Math.round((1000 * TICKS_PER_MS) / perSec));
    this.#ticksOfBurst = this.#ticksPerRequest * burst;
  }

  /** Connections open on the whole node. */
  get connectionCount(): number {
    return Atomics.load(this.#memory.connections, SLOTS);
  }

  /**
   * Takes one unauthenticated request of a source; false when it has used up its rate. Anybody can send UDP in its name, so
   * that spends nothing of what it has over TCP and TLS. A virtual scheduling clock: the place holds when the burst is
   * whole again. `nowMs` is Unix time; when it jumps, sources begin with a whole burst.
   */
  takeRequest(protocol: TransportProtocol, address: string, nowMs: number): boolean {
    const { times } = this.#memory;
    const slot = this.#slotOfRate(protocol, address);
    const now = ticksOf(nowMs);
    for (;;) {
      const wholeAt = Atomics.load(times, slot);
      const spent = ticksUntil(wholeAt, now, this.#ticksOfBurst);
      if (spent + this.#ticksPerRequest > this.#ticksOfBurst) return false;
      const next = (now + spent + this.#ticksPerRequest) | 0;
      if (Atomics.compareExchange(times, slot, wholeAt, next) === wholeAt) return true;
    }
  }

  /**
   * Notes that a client, named by its 5-tuple, has shown wrong credentials. Only to be told of those that are really there,
   * for anybody could have others held who forges their addresses.
   */
  countFailure(client: string, nowMs: number): void {
    Atomics.store(this.#memory.failures, this.#slot(client), (ticksOf(nowMs) + FAILURE_TICKS) | 0);
  }

  /**
   * Whether a client is not to be listened to: its source has used up its rate, and itself has failed within the last
   * minute. Others at its address are heard. Takes nothing.
   */
  isHeld(protocol: TransportProtocol, address: string, client: string, nowMs: number): boolean {
    const { failures, times } = this.#memory;
    const now = ticksOf(nowMs);
    if (ticksUntil(Atomics.load(failures, this.#slot(client)), now, FAILURE_TICKS) === 0) return false;
    const spent = ticksUntil(Atomics.load(times, this.#slotOfRate(protocol, address)), now, this.#ticksOfBurst);
    return spent + this.#ticksPerRequest > this.#ticksOfBurst;
  }

  /** Counts a new connection of a source; false, and nothing counted, when it or the node has too many. */
  openConnection(address: string): boolean {
    const { connections } = this.#memory;
    const slot = this.#slotOfSource(address);
    const total = Atomics.add(connections, SLOTS, 1);
    const own = Atomics.add(connections, slot, 1);
    if (total < this.#options.maxTcpConnections && own < this.#options.maxTcpConnectionsPerSource) return true;
    this.closeConnection(address);
    return false;
  }

  /** Takes a connection off again that `openConnection` counted. */
  closeConnection(address: string): void {
    const { connections } = this.#memory;
    Atomics.sub(connections, this.#slotOfSource(address), 1);
    Atomics.sub(connections, SLOTS, 1);
  }

  #slotOfRate(protocol: TransportProtocol, address: string): number {
    return this.#slot(protocol === 'udp' ? `udp ${sourceKey(address)}` : sourceKey(address));
  }

  #slotOfSource(address: string): number {
    return this.#slot(sourceKey(address));
  }

  /** FNV-1a over a name, begun at the seed and mixed at the end. */
  #slot(text: string): number {
    let hash = this.#memory.seed | 0;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    return (hash ^ (hash >>> 13)) & (SLOTS - 1);
  }
}

function ticksOf(nowMs: number): number {
  return Math.trunc(nowMs * TICKS_PER_MS) | 0;
}

/**
 * Ticks from now until a time that is at most `most` ahead. Differences of Int32 wrap as the clock does: what lies behind,
 * or further ahead than ever set, counts as none, and so does the zero of a place that nobody has used.
 */
function ticksUntil(time: number, now: number, most: number): number {
  const ticks = (time - now) | 0;
  return time === 0 || ticks < 0 || ticks > most ? 0 : ticks;
}
