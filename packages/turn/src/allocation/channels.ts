import type { RelayPort } from '../relay/relay.ts';
import { endpointKey, hostKey } from '../stun/index.ts';

/** Life of a channel binding (RFC 8656 section 12). */
const CHANNEL_MS = 600_000;

interface Binding {
  readonly channel: number;
  readonly address: string;
  readonly port: number;
  expiresAtMs: number;
}

/** The channel bindings of one allocation: a number has one peer, a peer has one number. */
export class Channels {
  readonly #byNumber = new Map<number, Binding>();
  readonly #byPeer = new Map<number | string, Binding>();
  readonly #port: RelayPort;
  readonly #max: number;

  constructor(port: RelayPort, max: number) {
    this.#port = port;
    this.#max = max;
  }

  get size(): number {
    return this.#byNumber.size;
  }

  /** Whether the binding would break "one number, one peer" both ways (RFC 8656 section 12.2: then 400). */
  conflicts(channel: number, address: string, port: number): boolean {
    const byNumber = this.#byNumber.get(channel);
    const byPeer = this.#byPeer.get(endpointKey(hostKey(address), port));
    return byNumber !== byPeer;
  }

  /** Whether `channel` is bound already or can be without passing the limit. */
  hasRoomFor(channel: number): boolean {
    return this.#byNumber.size < this.#max || this.#byNumber.has(channel);
  }

  /** Binds or refreshes; ten minutes from now. The caller has asked `conflicts` first. */
  bind(channel: number, address: string, port: number, nowMs: number): void {
    const bound = this.#byNumber.get(channel);
    if (bound !== undefined) {
      bound.expiresAtMs = nowMs + CHANNEL_MS;
      return;
    }
    const binding: Binding = { channel, address, port, expiresAtMs: nowMs + CHANNEL_MS };
    this.#byNumber.set(channel, binding);
    this.#byPeer.set(endpointKey(hostKey(address), port), binding);
    this.#port.bindFlow(binding);
  }

  /** Ends every binding whose time has come. */
  sweep(nowMs: number): void {
    for (const binding of this.#byNumber.values()) if (binding.expiresAtMs <= nowMs) this.#end(binding);
  }

  /** Ends every binding of a peer that `ends` is true for. */
  endWhere(ends: (address: string, port: number) => boolean): void {
    for (const binding of this.#byNumber.values()) if (ends(binding.address, binding.port)) this.#end(binding);
  }

  #end(binding: Binding): void {
    this.#byNumber.delete(binding.channel);
    this.#byPeer.delete(endpointKey(hostKey(binding.address), binding.port));
    this.#port.unbindFlow(binding.channel);
  }
}
