// What others ask about a node's services without its controlplane.
export { runningUnits } from './find-units.ts';
export { turnResumeCommand } from './held-units.ts';
export { stopAllServices } from './processes.ts';
