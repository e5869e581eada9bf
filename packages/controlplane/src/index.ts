// The map of the controlplane. Beside it, for those who run none: /client calls its API, /services finds and stops what
// it started, /turn-control talks to the TURN server of a node.
export { Controlplane, type ControlplaneOptions } from './controlplane.ts';
export { DnsMetrics } from './dns/embedded/dns-metrics.ts';
export { ACTION_KINDS, type ActionKind, CONTROLPLANE_FAILPOINTS } from './failpoint-names.ts';
export * from './placement/place.ts';
export * from './placement/port-blocks.ts';
export * from './services/service-manager.ts';
