import { Random } from '../support/random.ts';
import type { Accusations } from './accusations.ts';

/** Inputs of one round: it begins with new clients and ends with an empty server. */
const ROUND_INPUTS = 1000;
/** The server gets its turn, and time passes, after so many. */
const BATCH_INPUTS = 10;
/** Rounds after which memory has its size: code is compiled, tables have grown to what they need. */
const WARM_UP_ROUNDS = 10;

/** Whose run it is, as the command line names it. */
export interface Run {
  readonly target: 'turn' | 'sfu';
  readonly mode: string;
}

/** A broken rule, with how to see it again. */
export class FuzzFailure extends Error {
  /** @param seed the round's */
  constructor(what: string, { target, mode }: Run, seed: number, input: number, text: string) {
    super(
      `${what}\n  after input ${input} of the round with seed ${seed}: ${text}\n` +
        `  again: pnpm fuzz ${target} --mode ${mode} --seed ${seed} --inputs ${ROUND_INPUTS}`,
    );
  }
}

/** What a server holds after garbage collection, or as near to that as can be told; and by how much that may grow. */
export interface Memory {
  readonly bytes: number;
  readonly growthMax: number;
}

/** A server under test with those who talk to it. */
export interface Fuzzed {
  /** Keeps what is wrong with the server; whatever nobody caught in this process counts as well. */
  readonly judge: Accusations;
  start(): Promise<void>;
  /** Plays one round. Whatever it throws is a broken rule. */
  play(round: Round): Promise<void>;
  memory(): Promise<Memory>;
  close(): Promise<void>;
}

/** One round while it is played: new clients, a thousand inputs, everything gone again. */
export class Round {
  readonly seed: number;
  readonly random: Random;
  /** The last input; bytes are told in hexadecimal digits. */
  last: string | Buffer = 'none';
  /** What goes on, for whoever has to see it again. */
  doing = 'beginning';
  readonly #run: Run;
  readonly #judge: Accusations;
  #input = 0;

  constructor(run: Run, seed: number, judge: Accusations) {
    this.seed = seed;
    this.random = new Random(seed);
    this.#run = run;
    this.#judge = judge;
  }

  /** Throws a FuzzFailure for `what`, where there is something, and else for what the judge was told. */
  check(what?: string): void {
    const wrong = what ?? this.#judge.takeWrong();
    if (wrong === undefined) return;
    const last = typeof this.last === 'string' ? this.last : this.last.toString('hex');
    throw new FuzzFailure(`${wrong} while ${this.doing}`, this.#run, this.seed, this.#input, last);
  }

  /** Sends the round's inputs one by one; after each batch comes `pause`. */
  async sendInputs(send: () => Promise<void>, pause: () => Promise<void>): Promise<void> {
    for (; this.#input < ROUND_INPUTS; this.#input++) {
      await send();
      if (this.#input % BATCH_INPUTS === BATCH_INPUTS - 1) await pause();
      this.check();
    }
  }
}

/** Bytes that the server holds, at the end of the warm-up and of the run. */
export interface MemoryReport {
  readonly before: number;
  readonly after: number;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly inputs: number;
  readonly onProgress?: ((inputs: number) => void) | undefined;
}

/** Plays as many rounds as `inputs` take, each with a seed of its own; throws when a rule is broken or memory grows. */
export async function playRounds(fuzzed: Fuzzed, run: Run, options: FuzzOptions): Promise<MemoryReport> {
  const { seed, inputs, onProgress } = options;
  const endHearing = hearUncaught((what) => fuzzed.judge.accuse(what));
  await fuzzed.start();
  try {
    const rounds = Math.ceil(inputs / ROUND_INPUTS);
    let before = 0;
    for (let round = 0; round < rounds; round++) {
      await playRound(fuzzed, new Round(run, seed + round, fuzzed.judge));
      if (round === Math.min(WARM_UP_ROUNDS, rounds) - 1) before = (await fuzzed.memory()).bytes;
      onProgress?.((round + 1) * ROUND_INPUTS);
    }
    const { bytes: after, growthMax } = await fuzzed.memory();
    if (after - before > growthMax)
      throw new Error(`memory grew from ${before} to ${after} bytes over the run of seed ${seed}, mode ${run.mode}`);
    return { before, after };
  } finally {
    await fuzzed.close();
    endHearing();
  }
}

async function playRound(fuzzed: Fuzzed, round: Round): Promise<void> {
  try {
    await fuzzed.play(round);
  } catch (thrown) {
    // What led to it says more.
    if (!(thrown instanceof FuzzFailure)) round.check(fuzzed.judge.takeWrong() ?? `thrown: ${(thrown as Error).stack}`);
    throw thrown;
  }
}

/** Hears what nobody caught in this process. @returns ends the hearing */
function hearUncaught(accuse: (what: string) => void): () => void {
  const onUncaught = (thrown: unknown) =>
    accuse(`not caught: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
  process.on('unhandledRejection', onUncaught);
  process.on('uncaughtException', onUncaught);
  return () => {
    process.off('unhandledRejection', onUncaught);
    process.off('uncaughtException', onUncaught);
  };
}

/** What `pnpm fuzz` can be pointed at. */
export interface Target {
  /** Its modes, with what each gets of a hundred inputs: those over the wire take longer. */
  readonly shares: Readonly<Record<string, number>>;
  /** Plays one mode. @returns what is told of it, line by line */
  fuzz(mode: string, options: FuzzOptions): Promise<{ lines: string[]; memory: MemoryReport }>;
}

/** `name: count, name: count`. */
export function listCounts(entries: Iterable<readonly [unknown, number]>): string {
  return Array.from(entries, ([name, count]) => `${name}: ${count}`).join(', ');
}

/** The first series that counts what lives and is not zero. @param names of such series */
export function leftIn(metrics: ReadonlyMap<string, number>, names: RegExp): string | undefined {
  for (const [series, value] of metrics) if (value !== 0 && names.test(series)) return `${series} is ${value}`;
  return undefined;
}
