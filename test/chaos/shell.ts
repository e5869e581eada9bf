import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import type { Bed } from './bed/bed.ts';

/** Between two commands: at least the one, and less than the other more. */
const LEAST_PAUSE_MS = 500;
const PAUSES_MS = 3_501;
const TIMEOUT_SEC = 45;

/** An operator who turns WebRTC of a namespace on and off, and rotates its secret, whatever happens to the nodes. */
export class Shell {
  readonly namespace: string;
  /** What the last command that ended well says of the namespace; null when a later one did not end well. */
  acknowledged: 'enabled' | 'disabled' | null = 'disabled';
  /** Commands that ended well, and those that did not, with what they said. */
  readonly done: string[] = [];
  readonly failed: string[] = [];
  readonly #bed: Bed;
  readonly #random: Random;
  #isOn = false;
  #ended = false;
  #paused: PromiseWithResolvers<void> | null = null;
  #resumed: PromiseWithResolvers<void> | null = null;
  readonly #work: Promise<void>;

  constructor(bed: Bed, namespace: string, random: Random) {
    this.#bed = bed;
    this.namespace = namespace;
    this.#random = random;
    this.#work = this.#operate();
  }

  /** Resolves when the command that runs is over; no other begins before `resume`. */
  pause(): Promise<void> {
    this.#resumed ??= Promise.withResolvers();
    this.#paused ??= Promise.withResolvers();
    return this.#paused.promise;
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#paused = this.#resumed = null;
  }

  /** Waits for the command that runs, and begins no other. */
  async end(): Promise<void> {
    this.#ended = true;
    this.resume();
    await this.#work;
  }

  async #operate(): Promise<void> {
    while (!this.#ended) {
      this.#paused?.resolve();
      await this.#resumed?.promise;
      if (this.#ended) return;
      if (!this.#isOn) await this.#run('enable', 'enabled');
      else if (this.#random.chance(40)) await this.#run('rotate-secret', 'enabled');
      else await this.#run('disable', 'disabled');
      if (!this.#ended) await delay(LEAST_PAUSE_MS + this.#random.below(PAUSES_MS));
    }
  }

  async #run(verb: 'enable' | 'disable' | 'rotate-secret', outcome: 'enabled' | 'disabled'): Promise<void> {
    const force = verb === 'rotate-secret' ? ['--force'] : [];
    const args = ['namespace', verb, 'webrtc', '--namespace', this.namespace, '--timeout', `${TIMEOUT_SEC}`, ...force];
    // Until it has ended well nobody was promised anything.
    this.acknowledged = null;
    const result = await this.#bed.orama(...args).finished;
    if (result.code === 0) {
      this.done.push(verb);
      this.acknowledged = outcome;
      this.#isOn = outcome === 'enabled';
      return;
    }
    this.failed.push(`${verb}: ${result.output.trim().split('\n').at(-1)}`);
    // What became of it is not known: the next one is either.
    if (verb !== 'rotate-secret') this.#isOn = this.#random.chance(50);
  }
}
