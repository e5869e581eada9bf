import type { NodeRow } from '@orama/store';
import { MAX_GAP_MS } from './lease-keeper.ts';
import { Stillness } from './stillness.ts';

/** A node whose heartbeats stay away for so long is unreachable. */
const SILENT_MS = 6_000;
/** One that has not been heard since this process began to listen gets longer: it may be booting, as everything is. */
const UNHEARD_MS = 30_000;

/** A node that is something else than its row says. */
export interface LivenessChange {
  node: NodeRow;
  reachable: boolean;
}

/**
 * Watches the heartbeats of all nodes. Every node does, so that whoever takes the lease `liveness` knows at once how long
 * the others have been silent; only the holder writes what it sees.
 */
export class Liveness {
  readonly #own: string;
  readonly #beats = new Stillness(MAX_GAP_MS);
  readonly #heard: Set<string>;
  /** Heartbeats of each node at the last look. */
  #last = new Map<string, number>();

  /** @param own id of the node that watches */
  constructor(own: string) {
    this.#own = own;
    this.#heard = new Set([own]);
  }

  /** Whether a heartbeat of the node came since this process began to listen. */
  hasHeard(node: string): boolean {
    return this.#heard.has(node);
  }

  /**
   * What has to be written, from rows that were read after a heartbeat of this node's own came through: where nobody can
   * write, nobody is judged. Times are of the monotonic clock, as `Stillness` wants them.
   */
  look(nodes: readonly NodeRow[], askedAtMs: number, answeredAtMs: number): LivenessChange[] {
    const stills = this.#beats.look(new Map(nodes.map(({ id, beats }) => [id, beats])), askedAtMs, answeredAtMs);
    const last = this.#last;
    this.#last = new Map(nodes.map(({ id, beats }) => [id, beats]));
    return nodes.flatMap((node): LivenessChange[] => {
      const { forMs, moved } = stills.get(node.id) ?? { forMs: 0, moved: false };
      // A machine that joins has a row before its first heartbeat.
      const heard = (moved && node.beats > 0) || node.id === this.#own;
      if (heard) this.#heard.add(node.id);
      if (node.reachable) return forMs >= (heard ? SILENT_MS : UNHEARD_MS) ? [{ node, reachable: false }] : [];
      // Only by a heartbeat that came just now: a watch that was interrupted begins anew, and tells nothing of a dead node.
      const lives = node.id === this.#own || (heard && last.has(node.id) && last.get(node.id) !== node.beats);
      return lives ? [{ node, reachable: true }] : [];
    });
  }
}
