import type { Durations } from '../rounds.ts';

/** A whole round of three engines takes less than five minutes. */
export const FULL: Durations = { cellMs: 1_000, stepMs: 400, delayMs: 2_000 };
export const QUICK: Durations = { cellMs: 500, stepMs: 300, delayMs: 1_000 };
