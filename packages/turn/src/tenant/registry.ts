import { AddressSet, specialRangeOf } from '@orama/core';
import type { TurnTenant, TurnTenantUsage } from '@orama/protocol';
import { BoundPorts } from '../relay/bound-ports.ts';
import type { ExternalAddresses } from './peer-policy.ts';
import { type SharedTenant, Tenant } from './tenant.ts';

/** The tenants of one worker, attached and detached at run time. */
export class TenantRegistry {
  readonly #tenants = new Map<string, Tenant>();
  #ownAddresses = new AddressSet();
  readonly #external: ExternalAddresses;
  readonly #boundPorts: BoundPorts;

  /**
   * @param external public address by local address, behind 1:1 NAT
   * @param boundPorts ports that this node's relay has now
   */
  constructor(external: ExternalAddresses = {}, boundPorts = new BoundPorts()) {
    this.#external = external;
    this.#boundPorts = boundPorts;
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

  /** Takes all addresses of this node: refused as peers, unless a tenant's `peers` names them, from now on. */
  own(addresses: readonly string[]): void {
    const before = this.#ownAddresses;
    this.#ownAddresses = new AddressSet(addresses);
    // Only what was public is taken from anybody: the special ranges are refused whoever has them.
    const taken = addresses.some((address) => !before.has(address) && specialRangeOf(address) === null);
    for (const tenant of this.#tenants.values()) tenant.own(this.#ownAddresses, taken);
  }

  /** Attaches a tenant, or gives an attached one its new settings; resolves when what these end is closed. */
  async attach(config: TurnTenant, shared: SharedTenant): Promise<void> {
    const known = this.#tenants.get(config.namespace);
    if (known !== undefined) await known.update(config, shared.byteBudget);
    else {
      const tenant = new Tenant(config, shared, this.#ownAddresses, this.#external, this.#boundPorts);
      this.#tenants.set(config.namespace, tenant);
    }
  }

  /** Detaches a tenant and ends its allocations; answers with what they have done, undefined when it was not here. */
  async detach(namespace: string): Promise<TurnTenantUsage | undefined> {
    const tenant = this.#tenants.get(namespace);
    if (tenant === undefined) return undefined;
    this.#tenants.delete(namespace);
    await tenant.detach('tenant-detached');
    return tenant.usage();
  }

  /** Ends every allocation of every tenant. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.#tenants.values()].map((tenant) => tenant.detach('server-stopped')));
  }
}
