import type { Clock, Logger } from '@orama/core';
import type { TurnTenantLine } from '@orama/protocol';

/** Lines kept of a namespace, the newest: more than are written between two times that its unit asks. */
const LINES = 200;
/** Namespaces of which lines are kept, those that wrote last: a node has fewer at a time. */
const NAMESPACES = 100;

/** The log of a server in what it says of its tenants: each line is kept as well until the tenant's own log takes it. */
export class TenantLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #kept = new Map<string, TurnTenantLine[]>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** @param fields without the namespace */
  write(level: TurnTenantLine['level'], namespace: string, fields: Record<string, unknown>, message: string): void {
    this.#logger[level]({ ns: namespace, ...fields }, message);
    const lines = this.take(namespace);
    lines.push({ atMs: this.#clock.now(), level, message, fields });
    if (lines.length > LINES) lines.shift();
    this.#kept.set(namespace, lines);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > NAMESPACES && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** Lines of a namespace that nobody has taken before. */
  take(namespace: string): TurnTenantLine[] {
    const lines = this.#kept.get(namespace) ?? [];
    this.#kept.delete(namespace);
    return lines;
  }
}
