import type { Clients } from './clients.ts';
import type { RunningEngine } from './engine.ts';

/** What a round has to do with one server: it says something about each of its metrics, or fails. */
export interface Part {
  readonly metrics: readonly string[];
  run(server: RunningEngine, clients: Clients, record: Recorder): Promise<void>;
}

interface Recorder {
  value(metric: string, value: number): void;
  /** @param fault why there is no valid number */
  fault(metric: string, fault: string): void;
}
