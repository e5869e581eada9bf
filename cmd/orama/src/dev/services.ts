import { existsSync } from 'node:fs';
import { ProcessServices } from '@orama/controlplane';
import { silentLogger } from '@orama/core';

/** Whether services of a node run although its controlplane does not. */
export async function hasServices(nodeDataDir: string): Promise<boolean> {
  if (!existsSync(nodeDataDir)) return false;
  const services = await ProcessServices.open({ dataDir: nodeDataDir, logger: silentLogger });
  try {
    return (await services.list()).length > 0;
  } finally {
    services.close();
  }
}
