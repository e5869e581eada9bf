import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs, type Clock, type Failpoints, OramaError, type SecretBox } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import { type NamespaceRow, type RqliteDatabase, type Store, StoreConflictError } from '@orama/store';

/** Those whose majority decides in the store. */
export type StoreMembers = Pick<RqliteDatabase['cluster'], 'nodes' | 'removeNode'>;

/** What operations work with. */
export interface OperationContext {
  config: ControlplaneConfig;
  store: Store;
  /** Where the nodes are them. */
  storeMembers?: StoreMembers | undefined;
  secrets: SecretBox;
  clock: Clock;
  failpoints: Failpoints;
}

/** The namespace's row. Throws NAMESPACE_NOT_FOUND. */
export async function requireNamespace(store: Store, name: string): Promise<NamespaceRow> {
  const namespace = await store.namespaces.get(name);
  if (namespace) return namespace;
  throw new OramaError('NAMESPACE_NOT_FOUND', `there is no namespace "${name}"`, {
    hint: `orama namespace list shows all; orama namespace create ${name} makes it`,
  });
}

const ATTEMPTS = 12;

/**
 * Runs `attempt` again from its reads on when the store refused its batch, after a short random pause so that commands
 * from several shells get out of each other's way. Throws CONFLICT at the end.
 */
export async function retryOnConflict<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (thrown) {
      if (!(thrown instanceof StoreConflictError)) throw thrown;
      if (tries === ATTEMPTS) {
        throw new OramaError('CONFLICT', `${what} met other changes ${ATTEMPTS} times in a row; nothing was changed`, {
          cause: thrown,
          retryable: true,
          hint: 'run the command again',
        });
      }
    }
    await delay(Math.random() * backoffMs(tries, 10, 500));
  }
}
