import type { Clock } from '@orama/core';
import { EnrolmentServer, type EnrolmentServerOptions } from '../enrolment/server.ts';
import { openInvitations } from '../operations/invitations.ts';
import type { StoreView } from '../reconcile/store-view.ts';
import type { Task } from '../reconcile/task.ts';

/** Listens for machines that join while an invitation is open. */
export class InvitationsTask implements Task {
  readonly name = 'invitations';
  readonly #view: StoreView;
  readonly #clock: Clock;
  readonly #server: EnrolmentServer;

  constructor(context: { view: StoreView; clock: Clock }, options: EnrolmentServerOptions) {
    this.#view = context.view;
    this.#clock = context.clock;
    this.#server = new EnrolmentServer(options);
  }

  async report(): Promise<null> {
    const view = await this.#view.read();
    const open = openInvitations(await view.invitations(), await view.nodes(), this.#clock.now());
    await this.#server.serve(new Set(open));
    return null;
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
