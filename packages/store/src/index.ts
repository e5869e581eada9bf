// The map of the store.
export * from './database.ts';
export * from './lease.ts';
export * from './migrate.ts';
export * from './open.ts';
export * from './repositories/audit.ts';
export * from './repositories/dns-records.ts';
export * from './repositories/keys.ts';
export * from './repositories/namespaces.ts';
export * from './repositories/nodes.ts';
export * from './repositories/operations.ts';
export * from './repositories/port-allocations.ts';
export * from './repositories/rooms.ts';
export * from './repositories/service-reports.ts';
export * from './repositories/usage.ts';
export * from './repositories/webrtc-config.ts';
export { SqliteDatabase } from './sqlite.ts';
export * from './store.ts';
export { reportUsage } from './usage-report.ts';
