import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@orama/core';
import { clusterKeyFile, controlplaneConfig } from './layout.ts';
import type { findPrograms } from './programs.ts';
import { writeRqliteAuth } from './rqlite.ts';
import type { DevNode, DevSettings } from './state.ts';

/** Writes what the controlplanes read: the cluster's key and id (made once, then kept) and one configuration a node. */
export async function writeClusterFiles(options: {
  dataDir: string;
  nodes: DevNode[];
  settings: DevSettings;
  programs: ReturnType<typeof findPrograms>;
}): Promise<void> {
  const { dataDir, nodes, settings, programs } = options;
  await keepOrWrite(clusterKeyFile(dataDir), () => randomBytes(32).toString('hex'));
  const clusterId = await keepOrWrite(join(dataDir, 'cluster.id'), randomUUID);
  if (settings.store === 'rqlite') await writeRqliteAuth(dataDir, keepOrWrite);
  for (const node of nodes) {
    mkdirSync(join(node.dataDir, 'logs'), { recursive: true, mode: 0o700 });
    const config = controlplaneConfig({ dataDir, clusterId, node, nodes, settings, programs });
    await writeFileAtomic(node.configFile, `${JSON.stringify(config, null, 2)}\n`);
  }
}

async function keepOrWrite(file: string, create: () => string): Promise<string> {
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const content = create();
  await writeFileAtomic(file, `${content}\n`);
  return content;
}
