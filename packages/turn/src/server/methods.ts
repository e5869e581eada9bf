import { ATTRIBUTE, CREDENTIAL_ATTRIBUTES, METHOD } from '../stun/index.ts';
import type { RequestHandler } from './context.ts';
import { handleAllocate } from './handlers/allocate.ts';
import { handleChannelBind } from './handlers/channel-bind.ts';
import { handleCreatePermission } from './handlers/create-permission.ts';
import { handleRefresh } from './handlers/refresh.ts';

/** A method that needs credentials. */
export interface Method {
  readonly name: string;
  readonly handle: RequestHandler;
  /** Comprehension-required types it knows; any other is answered with 420. */
  readonly understood: ReadonlySet<number>;
}

function method(name: string, handle: RequestHandler, ...attributes: number[]): Method {
  return { name, handle, understood: new Set([...CREDENTIAL_ATTRIBUTES, ...attributes]) };
}

/** The methods that need credentials, by number. Binding needs none; Send is an indication. */
export const METHODS: ReadonlyMap<number, Method> = new Map([
  [
    METHOD.allocate,
    method(
      'Allocate',
      handleAllocate,
      ATTRIBUTE.requestedTransport,
      ATTRIBUTE.lifetime,
      ATTRIBUTE.dontFragment,
      ATTRIBUTE.evenPort,
      ATTRIBUTE.reservationToken,
      ATTRIBUTE.requestedAddressFamily,
    ),
  ],
  [METHOD.refresh, method('Refresh', handleRefresh, ATTRIBUTE.lifetime, ATTRIBUTE.requestedAddressFamily)],
  [METHOD.createPermission, method('CreatePermission', handleCreatePermission, ATTRIBUTE.xorPeerAddress)],
  [METHOD.channelBind, method('ChannelBind', handleChannelBind, ATTRIBUTE.channelNumber, ATTRIBUTE.xorPeerAddress)],
]);
