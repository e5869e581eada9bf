import { ratioOf, type Sample, type Spread, spreadOf, valuesOf } from './samples.ts';

/** Shows a number in the unit of its row. */
export type Format = (value: number) => string;
export const micros: Format = (value) => value.toFixed(1);
export const thousands: Format = (value) => `${Math.round(value / 1000)}k`;
export const percent: Format = (value) => `${(value * 100).toFixed(2)} %`;
export const hundredths: Format = (value) => value.toFixed(2);
export const whole: Format = (value) => value.toFixed(0);

/**
 * Median of an engine's valid samples of a metric, with least and greatest, and how many of how many are valid unless all
 * are; "invalid" when none is, "-" where nothing was measured.
 */
export function cell(samples: readonly Sample[], engine: string, metric: string, format: Format): string {
  const spread = spreadOf(samples, engine, metric);
  const { length } = valuesOf(samples, engine, metric);
  if (spread === undefined) return length === 0 ? '-' : 'invalid';
  return showSpread(spread, format) + (spread.count === length ? '' : ` [${spread.count} of ${length}]`);
}

/** One engine's median by another's; "-" without both. */
export function ratio(samples: readonly Sample[], metric: string, engine: string, other: string): string {
  return ratioOf(samples, metric, engine, other)?.toFixed(2) ?? '-';
}

function showSpread({ median, min, max, count }: Spread, format: Format): string {
  return count === 1 ? format(median) : `${format(median)} (${format(min)}–${format(max)})`;
}

/** A Markdown table with its columns in line. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) => `| ${cells.map((text, i) => text.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(header), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}
