// What the command line judges a cluster with; the facts it gathers from the nodes and by itself.
export { probeDns } from '../monitor/probes.ts';
export * from './check.ts';
export { CHECKS } from './checks/index.ts';
export * from './inspect.ts';
