import { refuse } from '../support/command-line.ts';

/** How long each thing is measured. */
export interface Durations {
  cellMs: number;
  stepMs: number;
  delayMs: number;
}

/** How many rounds were asked for: five, or one quick one, unless a number is given. Ends the program with its usage. */
export function readRounds(usage: string, given: string | undefined, quick: boolean): number {
  const rounds = Number(given ?? (quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) refuse(usage, '--rounds must be a whole number above 0');
  return rounds;
}

/** The engines of a list of names with commas between. Ends the program with its usage when one is not known. */
export function readEngines<E>(usage: string, names: string, known: Readonly<Record<string, () => E>>): E[] {
  return names.split(',').map((name) => {
    const make = known[name] ?? refuse(usage, `--engines knows ${Object.keys(known).join(', ')}, not "${name}"`);
    return make();
  });
}

/**
 * Every engine once a round, from the front and from the back by turns: so no engine always comes after the same other.
 * @param before rounds of earlier runs that these are added to
 */
export function* alternated<E extends { readonly name: string }>(
  engines: readonly E[],
  rounds: number,
  before = 0,
): Generator<E> {
  const last = before + rounds;
  for (let round = before + 1; round <= last; round++) {
    for (const engine of round % 2 === 1 ? engines : engines.toReversed()) {
      console.error(`round ${round} of ${last}: ${engine.name}`);
      yield engine;
    }
  }
}
