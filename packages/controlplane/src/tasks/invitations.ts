import type { Clock } from '@orama/core';
import { EnrolmentServer, type EnrolmentServerOptions } from '../enrolment/server.ts';
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
    const rows = await (await this.#view.read()).invitations();
    const nowMs = this.#clock.now();
    await this.#server.serve(new Set(rows.flatMap(({ id, expiresAtMs }) => (expiresAtMs > nowMs ? [id] : []))));
    return null;
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
