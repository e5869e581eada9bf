// What runs on a worker's own thread.
import { parentPort, workerData } from 'node:worker_threads';
import { Rpc, systemClock } from '@orama/core';
import { createLogger } from '@orama/core/logger';
import type { Ledger } from '../allocation/ledger.ts';
import type { LedgerMethods, ThreadData } from './thread-worker.ts';
import { TurnWorker } from './turn-worker.ts';

if (parentPort === null) throw new Error('worker-thread is not for the main thread');
const { settings, logLevel } = workerData as ThreadData;
const logger = createLogger({ svc: 'turn', level: logLevel, node: settings.config.node });

/** The ledger of a tenant is kept by the main thread. */
const ledgerOf = (namespace: string): Ledger => ({
  open: (request) => main.call('open', namespace, request),
  replacePort: (id) => main.call('replacePort', namespace, id),
  close: (id) => main.call('close', namespace, id),
});
const worker = new TurnWorker(settings, ledgerOf, logger.child({ worker: settings.id }), systemClock);
const main = new Rpc<LedgerMethods>(parentPort, worker);
