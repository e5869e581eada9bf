// The map of the gateway.
export { Gateway, type GatewayOptions } from './gateway.ts';
