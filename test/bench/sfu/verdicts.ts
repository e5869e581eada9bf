import { type Sample, spreadOf, valuesOf } from '../samples.ts';
import { type Format, hundredths, micros, thousands, whole } from '../tables.ts';
import { SCENARIOS } from './scenarios.ts';

export const OURS = 'orama';
/** Janus as it is best here, and as it comes. */
const BEST = 'janus, 1 loop';
const DEFAULT = 'janus';
/** From so many subscribers up, processor time and rates have targets. */
const MANY = 20;

interface Target {
  name: string;
  metric: string;
  /** By whose number ours is divided; by nobody's unless it says so. */
  against?: string;
  /** Met when not above, or when not below. */
  most?: number;
  least?: number;
  format: Format;
}

const crowded = SCENARIOS.filter(({ subscribers }) => subscribers >= MANY);
const TARGETS: readonly Target[] = [
  ...crowded.flatMap(({ name }): Target[] => {
    const time = { metric: `cpuUs ${name}`, format: hundredths };
    return [
      { name: `${name}: time a packet, by that of ${BEST}`, ...time, against: BEST, most: 1 },
      { name: `${name}: time a packet, by that of ${DEFAULT}`, ...time, against: DEFAULT, most: 0.7 },
      { name: `${name}: packets/s`, metric: `most packets/s ${name}`, least: 120_000, format: thousands },
    ];
  }),
  ...SCENARIOS.map(({ name }) => ({
    name: `${name}: p99 delay at half load, ms`,
    metric: `p99 ms ${name}`,
    most: 5,
    format: hundredths,
  })),
  { name: 'memory for a subscriber, kB', metric: 'kB/subscriber', most: 220, format: whole },
  { name: 'joins a second', metric: 'joins/s', least: 50, format: micros },
  {
    name: 'worst join to first packet: no stall of a second, ms',
    metric: 'first packet worst ms',
    most: 999,
    format: whole,
  },
];

/** A row for each target: what is wanted, the median seen, whether that is enough, and in how many rounds it was. */
export function verdicts(samples: readonly Sample[]): string[][] {
  return TARGETS.map(({ name, metric, against, most, least, format }) => {
    const isMet = (value: number) => value <= (most ?? Number.POSITIVE_INFINITY) && value >= (least ?? 0);
    const wanted = most === undefined ? `at least ${format(least ?? 0)}` : `at most ${format(most)}`;
    const values = valuesOf(samples, OURS, metric);
    const theirs = against === undefined ? undefined : valuesOf(samples, against, metric);
    const rounds = theirs ? divided(values, theirs) : values;
    const ours = spreadOf(samples, OURS, metric)?.median;
    const divisor = against === undefined ? 1 : spreadOf(samples, against, metric)?.median;
    if (ours === undefined || divisor === undefined) return [name, wanted, '-', 'not measured', '-'];
    const seen = ours / divisor;
    const known = rounds.filter((value) => value !== null);
    const result = isMet(seen) ? 'met' : '**missed**';
    return [name, wanted, format(seen), result, `${known.filter(isMet).length} of ${known.length}`];
  });
}

function divided(ours: readonly (number | null)[], theirs: readonly (number | null)[]): (number | null)[] {
  return ours.map((value, round) => {
    const other = theirs[round] ?? null;
    return value === null || other === null ? null : value / other;
  });
}
