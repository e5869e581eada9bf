import { answerEnrolment } from './enrolment/answer.ts';
import type { NodeContext } from './node-context.ts';
import type { Engine } from './reconcile/engine.ts';
import type { Task } from './reconcile/task.ts';
import { InvitationsTask } from './tasks/invitations.ts';
import { StoreMembersTask } from './tasks/store-members.ts';
import { WireguardTask } from './tasks/wireguard.ts';

/** What a node does about others coming and going. */
export interface Membership {
  tasks: Task[];
  close(): Promise<void>;
}

/** As far as the node's configuration has it: peers of an interface of ours, machines that join, members of the store. */
export function createMembership(
  context: NodeContext,
  { clusterKey, engine }: { clusterKey: string; engine: Engine },
): Membership {
  const { config, logger, storeMembers } = context;
  const wireguard = config.wireguard && new WireguardTask(context, config.wireguard);
  const invitations =
    config.invitations &&
    new InvitationsTask(context, {
      clusterKey,
      listen: config.invitations.listen,
      logger,
      answer: async (invitation, body, from) => {
        const reply = await answerEnrolment(context, clusterKey, { invitation, body, from });
        // The new node's first handshake is answered only by who knows it already.
        for (const action of (await wireguard?.plan()) ?? []) await wireguard?.apply(action);
        logger.info({ subject: invitation, from }, 'a machine was taken in');
        engine.wake();
        return reply;
      },
    });
  const members = storeMembers && new StoreMembersTask(context, storeMembers);
  return {
    tasks: [wireguard, invitations, members].filter((task) => task !== undefined) as Task[],
    close: async () => invitations?.close(),
  };
}
