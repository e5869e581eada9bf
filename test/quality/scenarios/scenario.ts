import type { Bed } from '../bed/bed.ts';

/** One figure beside its mark. */
export interface Row {
  what: string;
  mark: string;
  measured: string;
  passed: boolean;
}

export interface Scenario {
  /** Word for the command line. */
  name: string;
  /** Heading in the document. */
  title: string;
  /** Measures on a clean bed that nobody else uses. @param short a taste of it, for a first look */
  run(bed: Bed, short: boolean): Promise<Row[]>;
}

export function atMost(what: string, value: number, limit: number, unit: string): Row {
  return { what, mark: `at most ${limit} ${unit}`, measured: show(value, unit), passed: value <= limit };
}

export function atLeast(what: string, value: number, limit: number, unit: string): Row {
  return { what, mark: `at least ${limit} ${unit}`, measured: show(value, unit), passed: value >= limit };
}

/** A figure without a mark. */
export function note(what: string, measured: string): Row {
  return { what, mark: '', measured, passed: true };
}

function show(value: number, unit: string): string {
  if (!Number.isFinite(value)) return 'not seen';
  return `${Math.abs(value) >= 100 ? Math.round(value) : Number(value.toFixed(2))} ${unit}`;
}
