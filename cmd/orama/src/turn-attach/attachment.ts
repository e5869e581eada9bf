import type { ControlplaneClient } from '@orama/controlplane/client';
import { callTurn, TurnDownError } from '@orama/controlplane/turn-control';
import { describeError, type Logger, toOramaError, turnTenantDigest } from '@orama/core';
import { type NodeTenant, turnTenantListSchema, turnTenantStatusSchema } from '@orama/protocol';
import { z } from 'zod';

/**
 * A namespace on this node's TURN server for as long as a program runs: attached, attached anew when the server or the
 * settings are others, detached at the end. The secret comes from the node's controlplane and is kept in memory only.
 * Where that controlplane keeps the namespace attached itself, it is left to it.
 */
export class Attachment {
  readonly #client: ControlplaneClient;
  readonly #namespace: string;
  readonly #logger: Logger;
  #wanted: NodeTenant | null = null;
  #trouble = '';
  #isOnServer = false;

  constructor(client: ControlplaneClient, namespace: string, logger: Logger) {
    this.#client = client;
    this.#namespace = namespace;
    this.#logger = logger;
  }

  /** Whether the server has the namespace as far as this knows, or it is left to the controlplane. */
  get isKept(): boolean {
    return this.#isOnServer;
  }

  /** What there is to say of it, in words. */
  get status(): string {
    return this.#trouble || (this.#isOnServer ? 'attached' : 'not attached');
  }

  /**
   * Makes the server have the namespace as the controlplane wants it; false once it is not wanted on this node any more.
   * Without the controlplane what it wanted last stays, without a server there is nothing to do: both come back.
   * Throws NAMESPACE_NOT_FOUND.
   */
  async keep(): Promise<boolean> {
    try {
      this.#wanted = await this.#client.turnTenant(this.#namespace);
    } catch (thrown) {
      const { code } = toOramaError(thrown);
      if (code === 'WEBRTC_NOT_ENABLED') return false;
      if (code === 'NAMESPACE_NOT_FOUND') throw thrown;
      this.#note(`the controlplane does not say what is wanted: ${describeError(thrown)}`);
    }
    try {
      if (this.#wanted?.kept)
        this.#note('the controlplane of this node keeps the namespace attached, also after this ends');
      else if (this.#wanted) await this.#attach(this.#wanted);
      this.#isOnServer = this.#wanted !== null;
    } catch (thrown) {
      this.#isOnServer = false;
      this.#note(describeError(thrown));
    }
    return true;
  }

  /** Takes the namespace off the server, which ends its allocations, unless the controlplane keeps it there. */
  async end(): Promise<void> {
    if (!this.#wanted || this.#wanted.kept) return;
    const { controlSocket } = this.#wanted;
    try {
      await callTurn(controlSocket, z.undefined(), 'DELETE', `/tenants/${this.#namespace}`);
      this.#logger.info('detached');
    } catch (thrown) {
      const gone = thrown instanceof TurnDownError || toOramaError(thrown).code === 'NAMESPACE_NOT_FOUND';
      if (!gone) throw thrown;
    }
  }

  async #attach({ tenant, controlSocket }: NodeTenant): Promise<void> {
    const { tenants } = await callTurn(controlSocket, turnTenantListSchema, 'GET', '/tenants');
    const has = tenants.find(({ namespace }) => namespace === this.#namespace);
    this.#trouble = '';
    if (has?.digest === turnTenantDigest(tenant)) return;
    const { generation } = await callTurn(
      ...([controlSocket, turnTenantStatusSchema, 'PUT', `/tenants/${this.#namespace}`, tenant] as const),
    );
    this.#logger.info({ generation, reason: has ? 'its settings changed' : 'the server did not have it' }, 'attached');
  }

  /** Says why nothing is done, once. */
  #note(reason: string): void {
    if (reason !== this.#trouble) this.#logger.warn({ reason }, 'not attaching');
    this.#trouble = reason;
  }
}
