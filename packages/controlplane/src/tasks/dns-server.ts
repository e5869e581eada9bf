import { describeError, type Logger } from '@orama/core';
import type { CoreServiceStatus } from '@orama/store';
import type { DnsServer } from '../dns/embedded/dns-server.ts';
import type { EmbeddedDns } from '../dns/embedded/embedded-dns.ts';
import type { Task } from '../reconcile/task.ts';

const RETRY_MS = 5_000;

/** Has this node's DNS server listen. Where a port is taken or an address is missing, it is tried again; nothing waits for it. */
export class DnsListenTask implements Task {
  readonly name = 'core:dns';
  readonly #server: Pick<DnsServer, 'start'>;
  readonly #logger: Logger;
  readonly #onChange: () => void;
  #status: CoreServiceStatus = { service: 'dns', healthy: false, reason: 'not started yet' };

  /** @param onChange told when it began to listen, or when why it does not is another reason */
  constructor(server: Pick<DnsServer, 'start'>, logger: Logger, onChange: () => void) {
    this.#server = server;
    this.#logger = logger;
    this.#onChange = onChange;
  }

  /** What the last run saw. */
  get status(): CoreServiceStatus {
    return this.#status;
  }

  async report(): Promise<number | null> {
    const reason = await this.#server.start().then(() => null, describeError);
    const before = this.#status;
    this.#status = { service: 'dns', healthy: reason === null, ...(reason === null ? {} : { reason }) };
    if (before.healthy !== this.#status.healthy || before.reason !== this.#status.reason) {
      if (reason !== null) this.#logger.warn({ reason }, 'the DNS server does not listen everywhere');
      this.#onChange();
    }
    return reason === null ? null : RETRY_MS;
  }
}

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
