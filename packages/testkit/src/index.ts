// The map of what the tests share.

export * from './browser/call-page.ts';
export * from './browser/chromium.ts';
export * from './browser/driver.ts';
export { CAMERA } from './browser/fake-camera.ts';
export * from './browser/firefox.ts';
export * from './browser/observer.ts';
export * from './browser/whip-page.ts';
export * from './cluster/cli.ts';
export * from './cluster/database.ts';
export * from './cluster/gateway-call.ts';
export * from './cluster/image.ts';
export * from './cluster/leftovers.ts';
export * from './cluster/local-cluster.ts';
export * from './cluster/run-files.ts';
export * from './cluster/turn-control.ts';
export * from './peer/signalling.ts';
export * from './peer/synthetic-peer.ts';
export * from './rtp/numbered.ts';
export * from './store/rqlite-nodes.ts';
export * from './system/certificate-authority.ts';
export * from './system/metrics.ts';
export * from './system/processes.ts';
export * from './system/slow-udp.ts';
export * from './system/sockets.ts';
export * from './turn-client.ts';
export * from './wait.ts';
