import { aborted } from '../wait.ts';
import type { DevSettings, DevState } from './state.ts';
import { Supervisor } from './supervisor.ts';

/** Runs a local cluster in this process until `signal` is aborted; then stops it whole. Rejects when it cannot start. */
export async function runCluster(options: {
  dataDir: string;
  path: readonly string[];
  settings: DevSettings;
  signal: AbortSignal;
  onProgress: (text: string) => void;
  onReady: (state: DevState) => void;
}): Promise<void> {
  const supervisor = new Supervisor(options);
  try {
    options.onReady(await supervisor.start(options.signal));
    await aborted(options.signal);
  } finally {
    await supervisor.stop();
  }
}
