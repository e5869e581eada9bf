import type { Clock } from '@orama/core';
import type { Allocation, EndReason } from '../allocation/allocation.ts';
import type { ClientTransport } from '../listener/client-transport.ts';
import type { Relay } from '../relay/relay.ts';
import type { StunMessage } from '../stun/index.ts';
import type { ExternalAddresses } from '../tenant/peer-policy.ts';
import type { AllocationLog } from './allocation-log.ts';
import type { Identity } from './authenticator.ts';
import type { RefusalLog } from './refusal-log.ts';

/** What every handler may use. */
export interface ServerContext {
  readonly clock: Clock;
  readonly relay: Relay;
  readonly refusals: RefusalLog;
  readonly allocations: AllocationLog;
  /** Public address by local address, behind 1:1 NAT. */
  readonly external: ExternalAddresses;
  readonly defaultLifetimeSec: number;
  readonly maxLifetimeSec: number;
  /** True while no new allocation is made. */
  readonly draining: boolean;
  allocationOpened(allocation: Allocation): void;
  allocationClosed(allocation: Allocation, reason: EndReason): void;
}

/** A request whose sender is known. */
export interface TurnRequest {
  readonly message: StunMessage;
  readonly client: ClientTransport;
  readonly identity: Identity;
}

/** Answers an authenticated request with a finished message. */
export type RequestHandler = (request: TurnRequest, context: ServerContext) => Buffer | Promise<Buffer>;

/** The lifetime granted for a LIFETIME attribute: never below the default, never above the maximum (RFC 8656 7.2). */
export function grantedLifetimeSec(requestedSec: number | undefined, context: ServerContext): number {
  const wanted = Math.min(requestedSec ?? context.defaultLifetimeSec, context.maxLifetimeSec);
  return Math.max(wanted, Math.min(context.defaultLifetimeSec, context.maxLifetimeSec));
}
