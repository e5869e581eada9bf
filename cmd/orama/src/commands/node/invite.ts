import { INVITATION_TTL_SEC, invitationIdSchema } from '@orama/protocol';
import { Command, Option } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { renderTable } from '../../output/table.ts';

interface InviteOptions {
  ttl: number;
  list?: boolean;
  revoke?: string;
}

export function nodeInviteCommand(): Command {
  return new Command('invite')
    .description('print a token that one machine can join this cluster with, once and for a short time')
    .option(
      '--ttl <seconds>',
      'how long it is good for',
      integerOption(60, INVITATION_TTL_SEC.max),
      INVITATION_TTL_SEC.default,
    )
    .addOption(new Option('--list', 'show the invitations that are not over, without their tokens').conflicts('ttl'))
    .addOption(
      new Option('--revoke <id>', 'end an invitation, whoever has its token')
        .argParser(schemaOption(invitationIdSchema))
        .conflicts(['ttl', 'list']),
    )
    .addHelpText(
      'after',
      examples(
        'orama node invite | ssh root@node-2 orama node join',
        '(umask 077; orama node invite --ttl 600 > token)',
        'orama node invite --list',
        'orama node invite --revoke inv_3f9a',
      ),
    )
    .action(withContext(invite));
}

async function invite(context: Context, { ttl, list, revoke }: InviteOptions): Promise<void> {
  if (list) return listInvitations(context);
  const { output } = context;
  if (revoke !== undefined) {
    await connect(context).revokeInvitation(revoke);
    return output.result({ revoked: revoke }, () => `invitation ${revoke} is revoked`);
  }
  const invitation = await connect(context).invite({ ttlSec: ttl });
  output.note(
    `on the other machine, until ${invitation.expiresAt} (it joins by TCP to ${invitation.endpoint}): orama node join --token-file <file>`,
  );
  output.result(invitation, () => invitation.token);
}

async function listInvitations(context: Context): Promise<void> {
  const invitations = await connect(context).invitations();
  const { output } = context;
  output.result({ invitations }, () => {
    if (invitations.length === 0) return 'no invitation is open; orama node invite makes one';
    const rows = invitations.map(({ id, answeredBy, expiresAt, createdBy, takenBy }) => [
      ...[id, answeredBy, expiresAt, createdBy],
      takenBy ?? 'nobody yet',
    ]);
    return renderTable(output, ['invitation', 'joins by', 'until', 'made by', 'taken by'], rows);
  });
}
