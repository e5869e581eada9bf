/**
 * Units that are not started again once they end, because an operator drained them. Kept in memory: a controlplane that
 * starts anew, after a reboot for example, holds nothing.
 */
export class HeldUnits {
  readonly #units = new Set<string>();

  hold(unit: string): void {
    this.#units.add(unit);
  }

  release(unit: string): void {
    this.#units.delete(unit);
  }

  has(unit: string): boolean {
    return this.#units.has(unit);
  }
}

/** Why a drained TURN server does not run, with the next step. */
export function drainedReason(node: string): string {
  return `drained; it serves again with "orama turn resume --node ${node}"`;
}
