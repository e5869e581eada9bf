import type { Encoding } from './encoding.ts';
import { EVERY_LAYER, type Forwarder } from './forwarder.ts';
import type { Publication } from './publication.ts';

/** The layers a subscription should carry: the downlink's allocation says which. */
export interface LayerTarget {
  /** Index of the encoding (simulcast), or spatial layer inside the only one (SVC). */
  spatial: number;
  temporal: number;
}

/** Brings a forwarder to the layers it should send, as far as the publisher sends them, and asks for the key frames that takes. */
export class LayerFollower {
  readonly #publication: Publication;
  readonly #forwarder: Forwarder;

  constructor(publication: Publication, forwarder: Forwarder) {
    this.#publication = publication;
    this.#forwarder = forwarder;
  }

  /** The encoding that carries `target`. */
  encodingFor(target: LayerTarget | null): Encoding {
    const { encodings } = this.#publication;
    return encodings[Math.min(target?.spatial ?? 0, encodings.length - 1)] as Encoding;
  }

  /** The layers that are sent; null while nothing is. */
  get layer(): LayerTarget | null {
    const { current, spatial, temporal } = this.#forwarder;
    if (!current) return null;
    return {
      spatial: this.#isSimulcast ? current.index : Math.min(spatial, current.layers.spatial),
      temporal: Math.min(temporal, current.layers.temporal),
    };
  }

  /** Call it with every new target, and every 50 ms or so, because layers come and go. */
  follow(target: LayerTarget, nowMs: number): void {
    const { spatial, temporal } = target;
    const forwarder = this.#forwarder;
    const wanted = this.encodingFor(target);
    forwarder.limit(
      this.#isSimulcast || spatial >= wanted.layers.spatial ? EVERY_LAYER : spatial,
      temporal >= wanted.layers.temporal ? EVERY_LAYER : temporal,
    );
    const substitute = this.#needsSubstitute(wanted, nowMs) ? this.#publication.substitute(wanted, nowMs) : null;
    const isNew = forwarder.await(wanted, substitute);
    const { awaited, current } = forwarder;
    if (substitute && substitute !== current) this.#needKeyFrame(substitute, false, nowMs);
    // A layer that was off begins with a key frame when it comes on.
    if (awaited) this.#needKeyFrame(awaited, isNew && !substitute, nowMs);
    if (current && forwarder.lacksSpatial) this.#needKeyFrame(current, false, nowMs);
  }

  #needKeyFrame(encoding: Encoding, evenIfSilent: boolean, nowMs: number): void {
    if (encoding.keyFrames.isPending || !(evenIfSilent || encoding.isFlowing(nowMs))) return;
    this.#publication.requestKeyFrame(encoding, nowMs);
  }

  get #isSimulcast(): boolean {
    return this.#publication.encodings.length > 1;
  }

  // The wanted encoding is silent, and what is forwarded is so too, or more than there is room for.
  #needsSubstitute(wanted: Encoding, nowMs: number): boolean {
    const { current } = this.#forwarder;
    if (!this.#isSimulcast || wanted.isFlowing(nowMs)) return false;
    return current === null || !current.isFlowing(nowMs) || current.index > wanted.index;
  }
}
