import type { ActionKind } from '../failpoint-names.ts';

/** One step that brings the node closer to what is desired. */
export interface Action {
  kind: ActionKind;
  /** What it is done to: a unit, a namespace, a file. */
  subject: string;
  /** Why, in words for the log. */
  reason: string;
}

/**
 * Something a node keeps true. The engine runs it by timer and by signal, one run at a time, and gives it no input:
 * it looks at what is stored and what is there. Nothing is retried inside; the next run is the retry. A look that
 * fails throws and nothing is changed.
 */
export interface Task<A extends Action = Action> {
  readonly name: string;
  /** Looks, and decides what to do. Changes nothing. A task that only reports has none. */
  plan?(): Promise<A[]>;
  /** Does one step; doing it again does no harm. */
  apply?(action: A): Promise<void>;
  /**
   * Looks again and stores what is seen. Returns after how many milliseconds the task wants to run again because
   * something is on its way, or null when the timer will do.
   */
  report(): Promise<number | null>;
}
