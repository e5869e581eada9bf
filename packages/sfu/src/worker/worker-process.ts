// What runs as a worker's own process.
import type { Socket } from 'node:net';
import { type InternalReply, processPort, Rpc, systemClock, toOramaError } from '@orama/core';
import { createLogger } from '@orama/core/logger';
import type { PlainRequest, WorkerMethods } from './process-worker.ts';
import { SfuWorker, type WorkerSettings } from './sfu-worker.ts';
import type { Upgrade } from './worker-handle.ts';

let worker: SfuWorker | undefined;

const running = (): SfuWorker => {
  if (!worker) throw new Error('the worker was not started');
  return worker;
};

const methods: WorkerMethods = {
  async start(settings: WorkerSettings) {
    const { node, namespace, logLevel } = settings.config;
    const logger = createLogger({ svc: 'sfu', level: logLevel, node, ns: namespace }).child({ worker: settings.id });
    worker = new SfuWorker(settings, logger, systemClock);
    await worker.start();
    return worker.report;
  },
  report: () => running().report,
  async request(request: PlainRequest): Promise<InternalReply | undefined> {
    try {
      return await running().request({ ...request, query: new URLSearchParams(request.query) });
    } catch (thrown) {
      const error = toOramaError(thrown);
      return { status: error.status, body: error.toBody() };
    }
  },
  useTurn: (turn) => running().useTurn(turn),
  metrics: () => running().metrics(),
  drain: (timeoutMs: number) => running().drain(timeoutMs),
  close: () => running().close(),
};

new Rpc(processPort(process), methods);
process.on('message', (message: { kind?: string; upgrade?: Upgrade }, socket: Socket | undefined) => {
  if (message.kind !== 'upgrade' || !message.upgrade || !socket) return;
  running().accept(message.upgrade, socket);
});
// The process that listens decides about our end; signals of a terminal or of the service manager are for it.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('disconnect', () => process.exit(0));
