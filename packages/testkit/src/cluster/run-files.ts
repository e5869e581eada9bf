import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, processInfo } from '../system/processes.ts';

/** A service process of a node, as the controlplane remembers it in `<node data>/run/<unit>.json`. */
export interface ServiceProcess {
  unit: string;
  pid: number;
}

/** Unit names of a node's services. */
export const UNITS = {
  gateway: 'orama-gateway',
  turn: 'orama-turn',
  sfu: (namespace: string) => `orama-namespace-sfu@${namespace}`,
};

/** Living service processes of a node by its run files. A pid that some other program got since is left out. */
export function serviceProcesses(nodeDataDir: string): ServiceProcess[] {
  const folder = join(nodeDataDir, 'run');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      const record = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
        pid: number;
        startTimeTicks: number;
      };
      const info = processInfo(record.pid);
      const same = info !== null && isAlive(record.pid) && info.startTime === record.startTimeTicks;
      return same ? [{ unit: name.slice(0, -'.json'.length), pid: record.pid }] : [];
    });
}
