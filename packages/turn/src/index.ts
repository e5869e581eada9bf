// The map of the TURN server.
export type { EndReason } from './allocation/allocation.ts';
export { TurnService } from './turn-service.ts';
export { DgramSockets } from './udp/dgram-sockets.ts';
export type { HostAddress, MakeSockets, UdpSocket, UdpSocketOptions, UdpSockets } from './udp/udp-socket.ts';
export type { WorkerReport } from './workers/worker-report.ts';
