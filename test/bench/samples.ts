/** One number measured in one round. */
export interface Sample {
  engine: string;
  /** What was measured, with its unit, such as `cpuUs channel-up 1200 at 40000`. */
  metric: string;
  value: number;
}

export interface Spread {
  median: number;
  min: number;
  max: number;
  count: number;
}

/** Median, least and greatest of an engine's samples of a metric; undefined when there are none. */
export function spreadOf(samples: readonly Sample[], engine: string, metric: string): Spread | undefined {
  const values = samples.filter((sample) => sample.engine === engine && sample.metric === metric).map((s) => s.value);
  if (values.length === 0) return undefined;
  values.sort((a, b) => a - b);
  const middle = values.length >> 1;
  const upper = values[middle] as number;
  const median = values.length % 2 === 1 ? upper : (upper + (values[middle - 1] as number)) / 2;
  return { median, min: values[0] as number, max: values[values.length - 1] as number, count: values.length };
}
