import { existsSync, readFileSync } from 'node:fs';

/** What one round has to say about one thing. */
export type Sample = {
  engine: string;
  /** What was measured, with its unit, such as `cpuUs channel-up 1200 at 40000`. */
  metric: string;
} & ({ value: number } | { /** Why there is no valid number. */ fault: string });

export interface Spread {
  median: number;
  min: number;
  max: number;
  count: number;
}

/** The samples that earlier runs left in a file; none when there is no such file. */
export function readSamples(file: string): Sample[] {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Sample[]) : [];
}

/** An engine's samples of a metric, round by round; null where there is no valid number. */
export function valuesOf(samples: readonly Sample[], engine: string, metric: string): (number | null)[] {
  return samples
    .filter((sample) => sample.engine === engine && sample.metric === metric)
    .map((sample) => ('value' in sample ? sample.value : null));
}

/** Median, least and greatest of an engine's valid samples of a metric; undefined when there are none. */
export function spreadOf(samples: readonly Sample[], engine: string, metric: string): Spread | undefined {
  const values = valuesOf(samples, engine, metric).filter((value) => value !== null);
  if (values.length === 0) return undefined;
  return { median: medianOf(values), min: Math.min(...values), max: Math.max(...values), count: values.length };
}

/** The middle value, or the mean of the two middle ones; NaN of none. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** Our median of a metric by another engine's; undefined without both. */
export function ratioOf(samples: readonly Sample[], metric: string, engine: string, other: string): number | undefined {
  const [ours, theirs] = [spreadOf(samples, engine, metric), spreadOf(samples, other, metric)];
  return ours && theirs && ours.median / theirs.median;
}
