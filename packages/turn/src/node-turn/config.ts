import { ConfigError, specialRangeOf, UserError } from '@orama/core';
import type { TurnConfig, TurnTenant } from '@orama/protocol';

/** Whether an address never leaves the machine. */
function isLoopback(address: string): boolean {
  return specialRangeOf(address) === 'loopback';
}

/** Throws a ConfigError when node-turn cannot do what the configuration asks, or would be open to a network. */
export function requireSupportedConfig(config: TurnConfig): void {
  const refuse = (field: string, problem: string, hint: string) => {
    throw new ConfigError(`engine node-turn: ${field} ${problem}`, { hint });
  };
  const open = config.listen.find((address) => !isLoopback(address));
  if (open !== undefined) {
    refuse('listen', `names ${open}, which is not a loopback address`, 'listen on 127.x.x.x, or set engine: orama');
  }
  if (config.tls !== false) refuse('tls', 'is on, and the engine has UDP only', 'set tls: false');
  if (typeof config.workers === 'number' && config.workers > 1) {
    refuse('workers', `is ${config.workers}, and the engine has one`, 'set workers: 1');
  }
  if (Object.keys(config.external).length > 0) {
    refuse('external', 'is set, and a loopback address has no other side', 'leave external out');
  }
}

/** Settings of a tenant that node-turn has nothing for. */
const UNSUPPORTED = ['address6', 'innerAddress', 'bytesPerSec', 'allocationBytesPerSec'] as const;

/** Throws a UserError when node-turn cannot serve the tenant as it is asked to. */
export function requireSupportedTenant(tenant: TurnTenant): void {
  const refuse = (problem: string) => {
    throw new UserError('INVALID_REQUEST', `engine node-turn cannot serve ${tenant.namespace}: ${problem}`);
  };
  if (!isLoopback(tenant.relay.address)) refuse(`relay.address ${tenant.relay.address} is not a loopback address`);
  for (const field of UNSUPPORTED) {
    if (field in tenant.relay || field in tenant) refuse(`${field} is not supported`);
  }
  if (tenant.alternates.length > 0) refuse('alternates are not supported');
  if (tenant.secrets.length > 1) refuse('a second secret is not supported');
  if (tenant.retiredSecrets !== undefined) refuse('retiredSecrets are not supported');
}
