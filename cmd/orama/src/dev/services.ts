import { runningUnits } from '@orama/controlplane/services';

/** Whether services of a node run, whether or not its controlplane does. */
export async function hasServices(nodeDataDir: string): Promise<boolean> {
  return (await runningUnits(nodeDataDir)).length > 0;
}
