import type { EmbeddedDns } from '../dns/embedded/embedded-dns.ts';
import type { Task } from '../reconcile/task.ts';

/** Has this node's DNS server follow the store. Works on every node. */
export class DnsServerTask implements Task {
  readonly name = 'dns-server';
  readonly #dns: EmbeddedDns;

  constructor(dns: EmbeddedDns) {
    this.#dns = dns;
  }

  async report(): Promise<null> {
    await this.#dns.refresh();
    return null;
  }
}
