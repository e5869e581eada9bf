import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { daemonCommand } from '@orama/core';
import type { TurnConfigInput, TurnTenantInput } from '@orama/protocol';
import { ServerProcess } from '../server-process.ts';
import {
  ADDRESSES,
  type Engine,
  MAX_ALLOCATIONS,
  NAMESPACE,
  REALM,
  RELAY_PORTS,
  type RunningEngine,
  SECRET,
  SERVER_PORT,
} from './engine.ts';

const MAIN = join(import.meta.dirname, '../../../cmd/turn/dist/main.js');

/** Limits that are asked on every packet, and too high ever to be met. */
const LIMITS = { bytesPerSec: 10_000_000_000, allocationBytesPerSec: 10_000_000_000 };

/** Our server as its unit starts it: the real program, the default settings, one tenant attached. */
export function orama(workers: number): Engine {
  return {
    name: workers === 1 ? 'orama' : `orama, ${workers} workers`,
    description: `cmd/turn with Node ${process.version}, workers: ${workers}, everything else as it is by default`,
    start: (placed, directory) => start({ workers }, LIMITS, placed, directory),
  };
}

/** The same program with the mended node-turn in the place of our server. It has no byte limits to switch on. */
export function nodeTurn(): Engine {
  return {
    name: 'node-turn',
    description: 'node-turn 0.0.6 with our patch, in cmd/turn (engine: node-turn)',
    start: (placed, directory) => start({ engine: 'node-turn', tls: false, workers: 1 }, {}, placed, directory),
  };
}

async function start(
  settings: Partial<TurnConfigInput>,
  limits: Partial<TurnTenantInput>,
  placed: readonly string[],
  directory: string,
): Promise<RunningEngine> {
  const controlSocket = join(directory, 'turn.sock');
  const config: TurnConfigInput = {
    node: 'node-1',
    listen: [ADDRESSES.server],
    port: SERVER_PORT,
    realm: REALM,
    controlSocket,
    internal: { address: ADDRESSES.relay },
    // All clients of the benchmark have one address.
    unauthenticatedRate: { burst: 100_000, perSec: 100_000 },
    maxAllocationsPerSource: MAX_ALLOCATIONS,
    ...settings,
  };
  const file = join(directory, 'turn.json');
  writeFileSync(file, JSON.stringify(config));
  const server = await ServerProcess.start(directory, [...placed, ...daemonCommand('turn', MAIN), '--config', file]);
  try {
    await server.until((log) => log.includes('"started"'));
    await attach(controlSocket, limits);
  } catch (thrown) {
    await server.stop();
    throw thrown;
  }
  return server;
}

function attach(socketPath: string, limits: Partial<TurnTenantInput>): Promise<void> {
  const tenant: TurnTenantInput = {
    namespace: NAMESPACE,
    secrets: [SECRET],
    relay: { address: ADDRESSES.relay, portStart: RELAY_PORTS.start, portEnd: RELAY_PORTS.end },
    peers: [{ ip: ADDRESSES.peer, portStart: 1024, portEnd: 65_535 }],
    maxAllocations: MAX_ALLOCATIONS,
    maxAllocationsPerUsername: MAX_ALLOCATIONS,
    generation: 1,
    ...limits,
  };
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method: 'PUT', path: `/tenants/${NAMESPACE}` }, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`attaching the tenant was answered with ${response.statusCode}`));
    });
    call.on('error', reject);
    call.end(JSON.stringify(tenant));
  });
}
