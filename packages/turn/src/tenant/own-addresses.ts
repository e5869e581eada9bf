import { AddressSet, describeError, type Logger } from '@orama/core';

/**
 * Addresses of this node, which no tenant reaches as peers unless its `peers` names them: those of the configuration, those
 * that tenants relay from, and every address of the machine's interfaces, written down anywhere or not.
 */
export class OwnAddresses {
  readonly #named: Set<string>;
  readonly #interfaces: () => readonly string[];
  readonly #logger: Logger;
  #fromInterfaces: readonly string[] = [];
  #all: readonly string[] = [];
  #set = new AddressSet();

  /**
   * @param named addresses that are the node's own whatever its interfaces have
   * @param interfaces reads the addresses of the machine's interfaces
   */
  constructor(named: Iterable<string>, interfaces: () => readonly string[], logger: Logger) {
    this.#named = new Set(named);
    this.#interfaces = interfaces;
    this.#logger = logger;
  }

  /** All of them, in an order that says nothing. */
  get all(): readonly string[] {
    return this.#all;
  }

  /** All of them, to ask for one. A change makes another set. */
  get set(): AddressSet {
    return this.#set;
  }

  /** Adds addresses for good, and reads the interfaces again. True when anything has changed. */
  refresh(added: Iterable<string> = []): boolean {
    for (const address of added) this.#named.add(address);
    try {
      this.#fromInterfaces = this.#interfaces();
    } catch (thrown) {
      // The system reads them through a descriptor, of which there may be none left. What is known stays.
      this.#logger.warn({ err: describeError(thrown) }, 'addresses of the interfaces cannot be read');
    }
    const all = [...new Set([...this.#named, ...this.#fromInterfaces])].sort();
    if (all.join() === this.#all.join()) return false;
    this.#all = all;
    this.#set = new AddressSet(all);
    return true;
  }
}
