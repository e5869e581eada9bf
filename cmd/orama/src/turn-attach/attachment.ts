import { callTurn, TurnDownError, unlessUnknown } from '@orama/controlplane/turn-control';
import { ConfigFile, describeError, type Logger, toOramaError, turnTenantDigest } from '@orama/core';
import {
  type TurnTenant,
  type TurnTenantUsage,
  turnTenantLinesSchema,
  turnTenantListSchema,
  turnTenantSchema,
  turnTenantStatusSchema,
  turnUsageSchema,
} from '@orama/protocol';
import { z } from 'zod';
import { bytes } from '../output/quantity.ts';

interface Options {
  namespace: string;
  /** What is to be attached, as the controlplane writes it. */
  tenantFile: string;
  /** Of the node's TURN server. */
  controlSocket: string;
  logger: Logger;
}

/** What a namespace does on the server. */
interface Use {
  allocations: number;
  relayed: TurnTenantUsage | undefined;
}

/**
 * A namespace on this node's TURN server for as long as a program runs: attached, attached anew when the server or the
 * settings are others, detached at the end.
 */
export class Attachment {
  readonly #namespace: string;
  readonly #socket: string;
  readonly #file: ConfigFile<typeof turnTenantSchema>;
  readonly #logger: Logger;
  #wanted: TurnTenant | null = null;
  /** Whether the file is gone: nobody wants the namespace here any more. */
  #isRevoked = false;
  #trouble = '';
  #isOnServer = false;
  /** Whether the server handed over its lines when it was asked last. */
  #isTold = true;
  #use: Use = { allocations: 0, relayed: undefined };

  constructor({ namespace, tenantFile, controlSocket, logger }: Options) {
    this.#namespace = namespace;
    this.#socket = controlSocket;
    this.#file = new ConfigFile(turnTenantSchema, tenantFile);
    this.#logger = logger;
  }

  /** What there is to say of it, in words. */
  get status(): string {
    if (!this.#isOnServer) return `not attached: ${this.#trouble}`;
    const { allocations, relayed } = this.#use;
    const said = `attached: ${allocations} allocation${allocations === 1 ? '' : 's'}`;
    return relayed ? `${said}, ${bytes(relayedBytes(relayed))} relayed` : said;
  }

  /** Makes the server have the namespace as the file says. Without a file what was wanted last stays. */
  async keep(): Promise<void> {
    await this.#read();
    if (!this.#wanted) return;
    try {
      await this.#attach(this.#wanted);
      this.#isOnServer = true;
      this.#trouble = '';
    } catch (thrown) {
      this.#isOnServer = false;
      this.#note(describeError(thrown));
    }
  }

  /** Logs what the namespace did, where that is more than at the last call. */
  async summarize(): Promise<void> {
    if (!this.#isOnServer) return;
    const before = this.#use;
    const use = await this.#readUse().catch(() => undefined);
    if (!use) return;
    this.#use = use;
    if (use.allocations === before.allocations && usedAlike(use.relayed, before.relayed)) return;
    this.#logger.info(summaryOf(use), 'in use');
  }

  /** Logs what the server has said of the namespace since the last call. */
  async tell(): Promise<void> {
    if (!this.#isOnServer) return;
    const path = `/tenants/${this.#namespace}/lines`;
    try {
      const said = await unlessUnknown(callTurn(this.#socket, turnTenantLinesSchema, 'POST', path));
      this.#isTold = true;
      for (const { atMs, level, message, fields } of said?.lines ?? [])
        this.#logger[level]({ ...fields, at: new Date(atMs).toISOString() }, message);
    } catch (thrown) {
      // That there is no server is seen by who keeps it attached.
      if (thrown instanceof TurnDownError || !this.#isTold) return;
      this.#isTold = false;
      this.#logger.warn({ reason: describeError(thrown) }, 'what the server logs of it cannot be told');
    }
  }

  /** Takes the namespace off the server, which ends its allocations. */
  async end(): Promise<void> {
    if (!this.#wanted) return;
    try {
      const use = await this.#readUse();
      await callTurn(this.#socket, z.undefined(), 'DELETE', `/tenants/${this.#namespace}`);
      await this.tell();
      await this.#read();
      const reason = this.#isRevoked ? 'this node serves the namespace no more' : 'its unit was stopped';
      this.#logger.info({ reason, ...summaryOf(use) }, 'detached');
    } catch (thrown) {
      const gone = thrown instanceof TurnDownError || toOramaError(thrown).code === 'NAMESPACE_NOT_FOUND';
      if (!gone) throw thrown;
      this.#logger.info({ reason: 'the server no longer had it' }, 'detached');
    }
  }

  async #read(): Promise<void> {
    try {
      const changed = await this.#file.changed();
      if (changed) this.#wanted = changed;
      if (changed) this.#isRevoked = false;
    } catch (thrown) {
      this.#isRevoked = true;
      if (!this.#wanted) this.#note(describeError(thrown));
    }
  }

  async #attach(tenant: TurnTenant): Promise<void> {
    const { tenants } = await callTurn(this.#socket, turnTenantListSchema, 'GET', '/tenants');
    const has = tenants.find(({ namespace }) => namespace === this.#namespace);
    if (has?.digest === turnTenantDigest(tenant)) return;
    const path = `/tenants/${this.#namespace}`;
    const { generation } = await callTurn(this.#socket, turnTenantStatusSchema, 'PUT', path, tenant);
    this.#logger.info({ generation, reason: has ? 'its settings changed' : 'the server did not have it' }, 'attached');
  }

  async #readUse(): Promise<Use> {
    const { tenants } = await callTurn(this.#socket, turnTenantListSchema, 'GET', '/tenants');
    const usage = await unlessUnknown(callTurn(this.#socket, turnUsageSchema, 'GET', '/usage'));
    const isOurs = ({ namespace }: { namespace: string }) => namespace === this.#namespace;
    return { allocations: tenants.find(isOurs)?.allocations ?? 0, relayed: usage?.tenants.find(isOurs) };
  }

  /** Says why it is not attached, once. */
  #note(reason: string): void {
    if (reason !== this.#trouble) this.#logger.warn({ reason }, 'not attached');
    this.#trouble = reason;
  }
}

function summaryOf({ allocations, relayed }: Use): object {
  if (!relayed) return { allocations };
  const { toPeerBytes, toClientBytes, allocations: allocationsMade } = relayed;
  return { allocations, allocationsMade, toPeerBytes, toClientBytes };
}

function usedAlike(one: TurnTenantUsage | undefined, other: TurnTenantUsage | undefined): boolean {
  return (one?.allocations ?? 0) === (other?.allocations ?? 0) && relayedBytes(one) === relayedBytes(other);
}

function relayedBytes(usage: TurnTenantUsage | undefined): number {
  return usage ? usage.toPeerBytes + usage.toClientBytes : 0;
}
