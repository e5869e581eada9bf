import { networkInterfaces } from 'node:os';
import type { Clock, Logger } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import { StoreUnavailableError } from '@orama/store';
import type { Firewall, FirewallChanges, FirewallRule } from '../firewall/firewall.ts';
import { distinct, type InterfaceAddress, invitationRules, namespaceRules, nodeRules } from '../firewall/rules.ts';
import { openInvitations } from '../operations/invitations.ts';
import type { View } from '../reconcile/store-view.ts';
import type { Action, Task } from '../reconcile/task.ts';

interface FirewallAction extends Action {
  kind: 'firewall-open' | 'firewall-close';
  /** Absent for one that is taken away. */
  rule?: FirewallRule;
}

/**
 * Has the ports open that this node needs, and those no longer that it does not. It begins before the store is reached,
 * which may need some of them; until then nothing is closed.
 */
export class FirewallTask implements Task<FirewallAction> {
  readonly name = 'firewall';
  readonly #config: ControlplaneConfig;
  readonly #firewall: Firewall;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #view: () => Promise<View> | null;
  /** What was wanted when nothing was to be done. */
  #settled = { wanted: '', atMs: Number.NEGATIVE_INFINITY };
  /** Rules of ours that the operator's overrule, as far as the log says so. */
  #told = new Set<string>();

  /** @param view null before the store was reached */
  constructor(
    context: { config: ControlplaneConfig; clock: Clock; logger: Logger },
    firewall: Firewall,
    view: () => Promise<View> | null,
  ) {
    this.#config = context.config;
    this.#clock = context.clock;
    this.#logger = context.logger;
    this.#firewall = firewall;
    this.#view = view;
  }

  async plan(): Promise<FirewallAction[]> {
    const nowMs = this.#clock.monotonic();
    const view = await this.#read();
    const rules = distinct(await this.#wanted(view));
    const wanted = JSON.stringify([view !== null, rules.map(({ tag }) => tag)]);
    if (wanted === this.#settled.wanted && nowMs - this.#settled.atMs < this.#firewall.lookMs) return [];
    const { add, remove, overruled } = await this.#firewall.compare(rules);
    this.#tell(overruled);
    const close = view === null ? [] : remove;
    if (add.length + close.length === 0) this.#settled = { wanted, atMs: nowMs };
    return [
      ...add.map((rule) => ({ kind: 'firewall-open' as const, subject: rule.tag, reason: 'it is not there', rule })),
      ...close.map((tag) => ({ kind: 'firewall-close' as const, subject: tag, reason: 'nothing needs it any more' })),
    ];
  }

  apply({ subject, rule }: FirewallAction): Promise<void> {
    return rule ? this.#firewall.add(rule) : this.#firewall.remove([subject]);
  }

  async report(): Promise<null> {
    return null;
  }

  /** Each once, and again after it was not so. */
  #tell(overruled: FirewallChanges['overruled']): void {
    for (const { tag, by } of overruled) {
      if (this.#told.has(tag)) continue;
      this.#logger.warn({ rule: tag, by }, "not opened: a rule of the operator's own says otherwise, and holds");
    }
    this.#told = new Set(overruled.map(({ tag }) => tag));
  }

  /** Null while the store cannot say what is wanted. */
  async #read(): Promise<View | null> {
    try {
      return await this.#view();
    } catch (thrown) {
      if (thrown instanceof StoreUnavailableError) return null;
      throw thrown;
    }
  }

  async #wanted(view: View | null): Promise<FirewallRule[]> {
    const config = this.#config;
    const interfaces = interfaceAddresses();
    const always = nodeRules(config, interfaces);
    if (!view) return always;
    const nodes = await view.nodes();
    if (nodes.find(({ id }) => id === config.node)?.state === 'gone') return [];
    const isOpen = openInvitations(config.node, await view.invitations(), nodes, this.#clock.now()).length > 0;
    return [...always, ...(isOpen ? invitationRules(config, interfaces) : []), ...namespaceRules(config, view.here)];
  }
}

function interfaceAddresses(): InterfaceAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, entries = []]) =>
    entries.map(({ address }) => ({ interface: name, address })),
  );
}
