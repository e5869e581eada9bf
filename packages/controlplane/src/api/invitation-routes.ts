import { changeNodeSchema, invitationIdSchema, inviteSchema } from '@orama/protocol';
import { invite, listInvitations, revokeInvitation } from '../operations/invitations.ts';
import { parseBody, parseInput, type Route } from './route.ts';

/**
 * Invitations of machines, below `/invitations`. They are made and ended with the cluster key alone: who joins is given
 * it. `onChange` is called after a call that changed what is desired.
 */
export function invitationRoutes(clusterKey: string, onChange: () => void): Route[] {
  return [
    [
      'GET',
      /^\/invitations$/,
      async ({ context }) => ({ status: 200, body: { invitations: await listInvitations(context) } }),
      'viewer',
    ],
    [
      'POST',
      /^\/invitations$/,
      async (call) => {
        const body = await invite(call.context, clusterKey, parseBody(inviteSchema, call));
        onChange();
        return { status: 201, body };
      },
    ],
    [
      'POST',
      /^\/invitations\/([^/]+)\/revoke$/,
      async (call) => {
        const id = parseInput(invitationIdSchema, call.subjects[0], 'the id of the invitation');
        await revokeInvitation(call.context, id, parseBody(changeNodeSchema, call).requestedBy);
        onChange();
        return { status: 204 };
      },
    ],
  ];
}
