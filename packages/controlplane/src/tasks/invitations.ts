import type { Clock } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import { EnrolmentServer, type EnrolmentServerOptions } from '../enrolment/server.ts';
import { openInvitations } from '../operations/invitations.ts';
import type { StoreView } from '../reconcile/store-view.ts';
import type { Task } from '../reconcile/task.ts';

interface InvitationsContext {
  config: Pick<ControlplaneConfig, 'node'>;
  view: StoreView;
  clock: Clock;
}

/** Listens for machines that join while an invitation is open. */
export class InvitationsTask implements Task {
  readonly name = 'invitations';
  readonly #node: string;
  readonly #view: StoreView;
  readonly #clock: Clock;
  readonly #server: EnrolmentServer;

  constructor({ config, ...context }: InvitationsContext, options: EnrolmentServerOptions) {
    this.#node = config.node;
    this.#view = context.view;
    this.#clock = context.clock;
    this.#server = new EnrolmentServer(options);
  }

  async report(): Promise<null> {
    const view = await this.#view.read();
    const open = openInvitations(this.#node, await view.invitations(), await view.nodes(), this.#clock.now());
    await this.#server.serve(new Set(open));
    return null;
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
