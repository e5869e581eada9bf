// The map of everything that crosses a wire or lands in a file.
export * from './config/controlplane.ts';
export * from './config/gateway.ts';
export * from './config/sfu.ts';
export * from './config/store.ts';
export * from './config/turn.ts';
export * from './error-codes.ts';
export * from './free-json.ts';
export * from './ice-servers.ts';
export * from './internal/controlplane-api.ts';
export * from './internal/sfu-admin.ts';
export * from './internal/sfu-ticket.ts';
export * from './internal/turn-control.ts';
export * from './limits.ts';
export * from './names.ts';
export * from './rest/rooms.ts';
export * from './signalling/frames.ts';
export * from './state-file.ts';
