// The map of the controlplane.
export * from './client/controlplane-client.ts';
export { Controlplane, type ControlplaneOptions } from './controlplane.ts';
export { ACTION_KINDS, type ActionKind, CONTROLPLANE_FAILPOINTS } from './failpoint-names.ts';
export * from './placement/place.ts';
export * from './placement/port-blocks.ts';
export { runningUnits } from './services/find-units.ts';
export { ProcessServices, stopAllServices } from './services/processes.ts';
export * from './services/service-manager.ts';
export { callTurn, TurnDownError } from './turn-control.ts';
