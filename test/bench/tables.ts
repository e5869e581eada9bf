import { type Sample, type Spread, spreadOf } from './samples.ts';

/** Shows a number in the unit of its row. */
export type Format = (value: number) => string;
export const micros: Format = (value) => value.toFixed(1);
export const thousands: Format = (value) => `${Math.round(value / 1000)}k`;
export const percent: Format = (value) => `${(value * 100).toFixed(2)} %`;
export const whole: Format = (value) => value.toFixed(0);

/** Median of an engine's samples of a metric, with least and greatest; "-" without any. */
export function cell(samples: readonly Sample[], engine: string, metric: string, format: Format): string {
  const spread = spreadOf(samples, engine, metric);
  return spread === undefined ? '-' : showSpread(spread, format);
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
