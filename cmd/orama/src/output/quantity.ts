const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/** A number of bytes as people read it, in powers of 1000: `12.3 MB`. */
export function bytes(count: number): string {
  return quantity(count, 'B');
}

/** A bitrate as people read it: `2.5 Mbit/s`. */
export function bits(perSec: number): string {
  return quantity(perSec, 'bit/s');
}

function quantity(count: number, unit: string): string {
  const power = Math.min(PREFIXES.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  const value = count / 1000 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${PREFIXES[power]}${unit}`;
}

/** A duration as people read it: `0.25 s`, `12.3 s`, `4 min 5 s`. */
export function seconds(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const whole = Math.round(ms / 1000);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
