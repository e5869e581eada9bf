import { INVITATION_TTL_SEC } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, integerOption } from '../../options.ts';

export function nodeInviteCommand(): Command {
  return new Command('invite')
    .description('print a token that one machine can join this cluster with, once and for a short time')
    .option(
      '--ttl <seconds>',
      'how long it is good for',
      integerOption(60, INVITATION_TTL_SEC.max),
      INVITATION_TTL_SEC.default,
    )
    .addHelpText('after', examples('(umask 077; orama node invite > token)', 'orama node invite --ttl 600 --json'))
    .action(withContext(invite));
}

async function invite(context: Context, { ttl }: { ttl: number }): Promise<void> {
  const invitation = await connect(context).invite({ ttlSec: ttl });
  context.output.note(
    `on the other machine, until ${invitation.expiresAt} (it joins by TCP to ${invitation.endpoint}): orama node join --token-file <file>`,
  );
  context.output.result(invitation, () => invitation.token);
}
