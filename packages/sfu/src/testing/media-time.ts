import { beforeEach, vi } from 'vitest';

/** Media's clock in the hands of a test. */
export interface MediaTime {
  /** What `performance.now()` says: ten seconds when a test starts, and what the test sets. */
  nowMs: number;
}

/** Has `performance.now()` stand still in every test of the file or group that calls this. */
export function mediaTime(): MediaTime {
  const time = { nowMs: 0 };
  beforeEach(() => {
    time.nowMs = 10_000;
    const now = vi.spyOn(performance, 'now').mockImplementation(() => time.nowMs);
    return () => now.mockRestore();
  });
  return time;
}
