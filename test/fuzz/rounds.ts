/** Inputs of one round: it begins with new clients and ends with an empty server. */
export const ROUND_INPUTS = 1000;
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
  start(): Promise<void>;
  /** One round. Throws a FuzzFailure for the first broken rule. */
  round(seed: number): Promise<void>;
  memory(): Promise<Memory>;
  close(): Promise<void>;
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
  await fuzzed.start();
  try {
    const rounds = Math.ceil(inputs / ROUND_INPUTS);
    let before = 0;
    for (let round = 0; round < rounds; round++) {
      await fuzzed.round(seed + round);
      if (round === Math.min(WARM_UP_ROUNDS, rounds) - 1) before = (await fuzzed.memory()).bytes;
      onProgress?.((round + 1) * ROUND_INPUTS);
    }
    const { bytes: after, growthMax } = await fuzzed.memory();
    if (after - before > growthMax)
      throw new Error(`memory grew from ${before} to ${after} bytes over the run of seed ${seed}, mode ${run.mode}`);
    return { before, after };
  } finally {
    await fuzzed.close();
  }
}

/** Hears what nobody caught in this process. @returns ends the hearing */
export function hearUncaught(accuse: (what: string) => void): () => void {
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
