import { systemClock } from '@orama/core';
import { isRunning, packageRunners } from './process-identity.ts';

/** Signals that end a command in order. SIGHUP comes when the terminal is closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Why a command was ended early. */
export class Interrupted extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
    this.name = 'Interrupted';
    this.signal = signal;
  }
}

const RUNNERS_LOOK_MS = 500;

/**
 * Runs `work` with a signal that is aborted by Ctrl-C, SIGTERM or a closed terminal, and when a package runner around
 * this process is killed: those do not hand every signal on. Further signals change nothing: what has begun to stop is
 * stopped whole (a terminal and a package runner often send the same one twice).
 */
export async function withInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => controller.abort(new Interrupted(signal));
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const runners = packageRunners();
  const look = systemClock.every(RUNNERS_LOOK_MS, () => {
    if (!runners.every(isRunning)) onSignal('SIGHUP');
  });
  try {
    return await work(controller.signal);
  } finally {
    look.cancel();
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}
