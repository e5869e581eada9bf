import { type OperatorScope, operatorScopeSchema, operatorTokenNameSchema } from '@orama/protocol';
import { Command, InvalidArgumentError } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, schemaOption } from '../../options.ts';

const UNITS_SEC: Record<string, number> = { m: 60, h: 3_600, d: 86_400 };

export function tokenCreateCommand(): Command {
  return new Command('create')
    .description('make a token with which "orama --env" reaches the cluster from outside; it is shown once')
    .argument('<name>', 'whose it is, for the history: 1-64 characters', schemaOption(operatorTokenNameSchema))
    .option(
      '--scope <scope>',
      'operator, or viewer for one that only reads',
      schemaOption(operatorScopeSchema),
      'operator',
    )
    .option('--valid-for <time>', 'minutes, hours or days: 30m, 12h, 90d', durationOption, durationOption('90d'))
    .addHelpText(
      'after',
      examples('orama token create anna', 'orama token create dashboard --scope viewer --valid-for 365d'),
    )
    .action(withContext(createToken));
}

async function createToken(
  context: Context,
  name: string,
  { scope, validFor }: { scope: OperatorScope; validFor: number },
): Promise<void> {
  const created = await connect(context).createOperatorToken({ name, scope, ttlSec: validFor });
  context.output.note(
    `${created.name} (${created.scope}) until ${created.expiresAt}. Save the token now: only its hash is stored. ` +
      'Next, where it is to be used: orama env add <name> --url https://api.<base domain> --token-file <file with the token>',
  );
  context.output.result(created, () => created.token);
}

/** Seconds. */
function durationOption(text: string): number {
  const [, count = '', unit = ''] = /^([1-9]\d{0,6})([mhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNITS_SEC[unit] ?? 0);
  if (seconds < 60 || seconds > 730 * 86_400)
    throw new InvalidArgumentError('Use a time such as 30m, 12h or 90d, at most 730d.');
  return seconds;
}
