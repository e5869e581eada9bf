import { describeError } from '@orama/core';
import { aborted } from '../wait.ts';
import { ADD_NODE_SIGNAL, type DevSettings, type DevState } from './state.ts';
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
  const onAdd = () => {
    supervisor.addNode().catch((thrown) => options.onProgress(`a node could not be added: ${describeError(thrown)}`));
  };
  process.on(ADD_NODE_SIGNAL, onAdd);
  try {
    options.onReady(await supervisor.start(options.signal));
    await aborted(options.signal);
  } finally {
    process.off(ADD_NODE_SIGNAL, onAdd);
    await supervisor.stop();
  }
}
