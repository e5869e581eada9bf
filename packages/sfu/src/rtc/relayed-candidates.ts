import type { SdpCandidate } from 'sdp-transform';
import type { Endpoint } from './stun-front.ts';

const MAX_KEPT = 256;

/** Relayed candidates that a peer told: each of its ICE restarts brings others, and the newest are kept. */
export class RelayedCandidates {
  /** The newest last. */
  readonly #endpoints = new Set<string>();

  /** Keeps a candidate that is relayed. @returns whether it is */
  note({ type, ip, port }: SdpCandidate): boolean {
    if (type !== 'relay') return false;
    const relay = textOf({ address: String(ip), port });
    // Named again, it is among the newest.
    this.#endpoints.delete(relay);
    const [oldest] = this.#endpoints;
    if (this.#endpoints.size >= MAX_KEPT && oldest !== undefined) this.#endpoints.delete(oldest);
    this.#endpoints.add(relay);
    return true;
  }

  has(endpoint: Endpoint): boolean {
    return this.#endpoints.has(textOf(endpoint));
  }
}

function textOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
