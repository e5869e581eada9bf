import { AddressSet, type Logger } from '@orama/core';
import type { TurnTenant, TurnTenantStatus } from '@orama/protocol';
import type { ExternalAddresses } from './peer-policy.ts';
import { Tenant } from './tenant.ts';

/** The tenants of this server, attached and detached at run time. */
export class TenantRegistry {
  readonly #tenants = new Map<string, Tenant>();
  readonly #ownAddresses: AddressSet;
  readonly #external: ExternalAddresses;
  readonly #logger: Logger;

  /**
   * @param ownAddresses addresses of this node, refused as peers unless a tenant's `peers` names them
   * @param external public address by local address, behind 1:1 NAT; both are the node's own as well
   */
  constructor(ownAddresses: readonly string[], logger: Logger, external: ExternalAddresses = {}) {
    this.#ownAddresses = new AddressSet([...ownAddresses, ...Object.entries(external).flat()]);
    this.#external = external;
    this.#logger = logger;
  }

  get size(): number {
    return this.#tenants.size;
  }

  get(namespace: string): Tenant | undefined {
    return this.#tenants.get(namespace);
  }

  all(): IterableIterator<Tenant> {
    return this.#tenants.values();
  }

  /** Host names in the TURN URIs of the tenants. */
  *domains(): Iterable<string> {
    for (const { domain } of this.#tenants.values()) if (domain !== undefined) yield domain;
  }

  list(): TurnTenantStatus[] {
    return [...this.#tenants.values()].map((tenant) => tenant.status());
  }

  /** Attaches a tenant, or gives an attached one its new settings. Attaching the same again changes nothing. */
  async attach(config: TurnTenant): Promise<TurnTenantStatus> {
    const { address, address6, innerAddress } = config.relay;
    for (const own of [address, address6, innerAddress]) {
      if (own !== undefined && !this.#ownAddresses.has(own)) this.#ownAddresses.add(own);
    }
    const known = this.#tenants.get(config.namespace);
    const fields = { ns: config.namespace, generation: config.generation, relay: config.relay };
    if (known === undefined) {
      const tenant = new Tenant(config, this.#ownAddresses, this.#external);
      this.#tenants.set(config.namespace, tenant);
      this.#logger.info(fields, 'tenant attached');
      return tenant.status();
    }
    const before = known.status().digest;
    await known.update(config);
    if (known.status().digest !== before) this.#logger.info(fields, 'tenant updated');
    return known.status();
  }

  /** Detaches a tenant and ends its allocations; false when there was none of that name. */
  async detach(namespace: string): Promise<boolean> {
    const tenant = this.#tenants.get(namespace);
    if (tenant === undefined) return false;
    this.#tenants.delete(namespace);
    const ended = tenant.allocations.size;
    await tenant.detach('tenant-detached');
    this.#logger.info({ ns: namespace, ended }, 'tenant detached');
    return true;
  }

  /** Ends every allocation of every tenant. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.#tenants.values()].map((tenant) => tenant.detach('server-stopped')));
  }
}
