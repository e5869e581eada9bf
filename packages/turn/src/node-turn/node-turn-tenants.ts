import { type Logger, parseTurnUsername, turnPassword, turnTenantDigest, UserError } from '@orama/core';
import type { TurnTenant, TurnTenantStatus } from '@orama/protocol';
import type NodeTurnServer from 'node-turn';
import type { TenantTable } from '../control/control-socket.ts';
import { requireSupportedTenant } from './config.ts';

/**
 * The tenants of a node-turn server: their secrets make passwords when a name is looked up, their quotas are asked at
 * each Allocate. The engine has one relay range, so all tenants share it, and no peer policy.
 */
export class NodeTurnTenants implements TenantTable {
  readonly #tenants = new Map<string, TurnTenant>();
  readonly #logger: Logger;
  #server: NodeTurnServer | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Gives the server its quota; `passwordOf` is to be its credentials. */
  serve(server: NodeTurnServer): void {
    this.#server = server;
    server.allocate.checkQuota = (username) => this.#mayAllocate(username);
  }

  /** Password of a REST username (`<expiry>:<namespace>`); undefined when it has expired or names no tenant. */
  passwordOf(username: string, nowMs: number): string | undefined {
    const parsed = parseTurnUsername(username);
    const secret = parsed === null ? undefined : this.#tenants.get(parsed.namespace)?.secrets[0];
    if (parsed === null || secret === undefined || parsed.expirySec * 1000 <= nowMs) return undefined;
    return turnPassword(secret, username);
  }

  list(): TurnTenantStatus[] {
    return [...this.#tenants.values()].map((tenant) => this.#status(tenant));
  }

  async attach(tenant: TurnTenant): Promise<TurnTenantStatus> {
    requireSupportedTenant(tenant);
    const { address, portStart, portEnd } = tenant.relay;
    for (const { namespace, relay } of this.#tenants.values()) {
      const same = relay.address === address && relay.portStart === portStart && relay.portEnd === portEnd;
      if (namespace !== tenant.namespace && !same) {
        throw new UserError(
          'CONFLICT',
          `engine node-turn has one relay range, which is ${relay.address} ${relay.portStart}-${relay.portEnd} of ${namespace}`,
        );
      }
    }
    const before = this.#tenants.get(tenant.namespace);
    if (before !== undefined && turnTenantDigest(before) !== turnTenantDigest(tenant)) this.#endAllocations(tenant);
    this.#tenants.set(tenant.namespace, tenant);
    if (this.#server !== undefined) {
      this.#server.relayIps = [address];
      this.#server.minPort = portStart;
      this.#server.maxPort = portEnd;
    }
    this.#logger.info({ ns: tenant.namespace, generation: tenant.generation, relay: tenant.relay }, 'tenant attached');
    return this.#status(tenant);
  }

  async detach(namespace: string): Promise<boolean> {
    const tenant = this.#tenants.get(namespace);
    if (tenant === undefined) return false;
    this.#tenants.delete(namespace);
    this.#endAllocations(tenant);
    this.#logger.info({ ns: namespace }, 'tenant detached');
    return true;
  }

  #status(tenant: TurnTenant): TurnTenantStatus {
    return {
      namespace: tenant.namespace,
      generation: tenant.generation,
      digest: turnTenantDigest(tenant),
      allocations: this.#allocationsOf(tenant).length,
    };
  }

  #allocationsOf(tenant: TurnTenant) {
    return Object.values(this.#server?.allocations ?? {}).filter(
      ({ user }) => parseTurnUsername(user.username)?.namespace === tenant.namespace,
    );
  }

  #endAllocations(tenant: TurnTenant): void {
    for (const allocation of this.#allocationsOf(tenant)) allocation.close();
  }

  #mayAllocate(username: string): boolean {
    const tenant = this.#tenants.get(parseTurnUsername(username)?.namespace ?? '');
    if (tenant === undefined) return false;
    const all = this.#allocationsOf(tenant);
    const own = all.filter(({ user }) => user.username === username);
    return all.length < tenant.maxAllocations && own.length < tenant.maxAllocationsPerUsername;
  }
}
