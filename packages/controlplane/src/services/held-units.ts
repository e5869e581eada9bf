import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '@orama/core';
import { z } from 'zod';
import { nodePaths } from '../node-context.ts';
import { TURN_UNIT } from './service-manager.ts';

/** Tells one run of the machine from the next; absent where the system has no such thing. */
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

const heldSchema = z.object({ bootId: z.string(), units: z.array(z.string()) });

/**
 * Units that are not started again once they end, because an operator drained them. Kept in a file, so that a controlplane
 * that crashes or is replaced meanwhile still knows; a machine that was rebooted holds nothing.
 */
export class HeldUnits {
  readonly #path: string;
  readonly #bootIdFile: string;
  #bootId = '';
  #units: ReadonlySet<string> = new Set();

  /** @param bootIdFile what tells one run of the machine from the next */
  constructor(path: string, bootIdFile = BOOT_ID_FILE) {
    this.#path = path;
    this.#bootIdFile = bootIdFile;
  }

  /** Reads what was held before; a file that is missing, broken or older than the machine's start holds nothing. */
  async load(): Promise<void> {
    this.#bootId = await readFile(this.#bootIdFile, 'utf8').catch(() => '');
    const written = await readFile(this.#path, 'utf8')
      .then(JSON.parse)
      .catch(() => undefined);
    const held = heldSchema.safeParse(written);
    if (held.success && held.data.bootId === this.#bootId) this.#units = new Set(held.data.units);
  }

  hold(unit: string): Promise<void> {
    return this.#set(new Set([...this.#units, unit]));
  }

  release(unit: string): Promise<void> {
    return this.#set(new Set([...this.#units].filter((each) => each !== unit)));
  }

  has(unit: string): boolean {
    return this.#units.has(unit);
  }

  async #set(units: ReadonlySet<string>): Promise<void> {
    await writeFileAtomic(this.#path, `${JSON.stringify({ bootId: this.#bootId, units: [...units] })}\n`);
    this.#units = units;
  }
}

/** Held while the node itself is drained, beside the units that were held for that. */
export const DRAINED_NODE = 'node';

/** Why a drained TURN server does not run, with the next step. */
export function drainedReason(node: string, held: HeldUnits): string {
  return `drained; it serves again with "${resumeCommand(node, held)}"`;
}

/** What brings back the TURN server of a node, where an operator keeps it down; null where nobody does. */
export async function turnResumeCommand(node: string, dataDir: string): Promise<string | null> {
  const held = new HeldUnits(nodePaths(dataDir).heldUnits);
  await held.load();
  return held.has(TURN_UNIT) ? resumeCommand(node, held) : null;
}

function resumeCommand(node: string, held: HeldUnits): string {
  return held.has(DRAINED_NODE) ? `orama node resume ${node}` : `orama turn resume --node ${node}`;
}
