// The map of the TURN server.
export type { EndReason } from './allocation/allocation.ts';
export { TurnService } from './turn-service.ts';
export type { WorkerReport } from './workers/worker-report.ts';
