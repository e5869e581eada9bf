import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { DAEMON_RUNTIMES, daemonCommand, environmentLines } from '@orama/core';
import type { SfuConfigInput, SfuHealth } from '@orama/protocol';
import { ServerProcess } from '../server-process.ts';
import { SERVER_ADDRESS } from './bed.ts';
import type { Engine } from './engine.ts';

const MAIN = join(import.meta.dirname, '../../../cmd/sfu/dist/main.js');
const ADDON = join(import.meta.dirname, '../../../packages/sfu/node_modules/node-datachannel/package.json');
const NAMESPACE = 'bench';
const SECRET = 'a-secret-of-the-benchmark-0123456789';
const SIGNALLING_PORT = 30_000;
const SETTLE_MS = 1_000;

/** Our SFU as its unit starts it: the real program in one process, everything switched on. */
export function orama(): Engine {
  return {
    name: 'orama',
    description: `cmd/sfu with Node ${process.version} ${DAEMON_RUNTIMES.sfu.nodeOptions.join(' ')}, ${environmentLines('sfu').join(' ')} and node-datachannel ${version()}, workers: 1, everything else as it is by default; clients join with channels: false`,
    async start(placed, directory) {
      const secretFile = join(directory, 'secret');
      writeFileSync(secretFile, SECRET, { mode: 0o600 });
      const config: SfuConfigInput = {
        node: 'node-1',
        namespace: NAMESPACE,
        address: SERVER_ADDRESS,
        wireguardNetwork: '10.96.0.0/24',
        signalingPort: SIGNALLING_PORT,
        mediaPortStart: 20_000,
        mediaPortEnd: 20_499,
        secretFile,
        turn: { uris: [], secret: SECRET },
        forceRelay: false,
        workers: 1,
        logLevel: 'info',
      };
      const file = join(directory, 'sfu.json');
      writeFileSync(file, JSON.stringify(config));
      const server = await ServerProcess.start(directory, [...placed, ...daemonCommand('sfu', MAIN), '--config', file]);
      await server.until((log) => log.includes('"msg":"started"'));
      const url = `ws://${SERVER_ADDRESS}:${SIGNALLING_PORT}/ws/signal`;
      return {
        pid: server.pid,
        target: { kind: 'orama', url, namespace: NAMESPACE, secret: SECRET },
        // After a load beyond its limits it turns clients away for some seconds.
        async settled() {
          do await wait(SETTLE_MS);
          while ((await health()).status !== 'ok');
        },
        stop: () => server.stop(),
      };
    },
  };
}

async function health(): Promise<SfuHealth> {
  const response = await fetch(`http://${SERVER_ADDRESS}:${SIGNALLING_PORT}/healthz`);
  return (await response.json()) as SfuHealth;
}

function version(): string {
  return (JSON.parse(readFileSync(ADDON, 'utf8')) as { version: string }).version;
}
