import { UserError } from '@orama/core';
import { namespaceNameSchema, stunUriSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { withInterrupt } from '../../interrupt.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { checkTurn } from '../../turn-check/check-turn.ts';
import { describeCheck } from '../../turn-check/describe.ts';
import { CheckFailure, ChecksFailed, type Login } from '../../turn-check/failure.ts';
import type { CheckResult } from '../../turn-check/result.ts';

interface CheckCommandOptions {
  namespace?: string;
  username?: string;
  password?: string;
  insecure?: true;
  relay: boolean;
  packets: number;
  timeout: number;
}

export function turnCheckCommand(): Command {
  return new Command('check')
    .description('allocate on a TURN server and relay packets to oneself, measuring every step a client takes')
    .argument('[uri]', 'turn:, turns:, stun: or stuns: URI (RFC 7064, 7065); without it those of the namespace')
    .option(
      '--ns, --namespace <name>',
      'fetch credentials of this namespace from the controlplane',
      schemaOption(namespaceNameSchema),
    )
    .option('--username <username>', 'TURN username')
    .option('--password <password>', 'TURN password')
    .option('--insecure', 'go on with a certificate that is not to be trusted')
    .option('--no-relay', 'end with the allocation')
    .option('--packets <count>', 'packets to relay', integerOption(1, 1_000), 10)
    .option('--timeout <seconds>', 'how long each step may take', integerOption(1, 60), 5)
    .addHelpText(
      'after',
      examples(
        'orama turn check --namespace myapp',
        'orama turn check turns:turn.ns-myapp.example.org --namespace myapp',
        'orama turn check turn:192.0.2.1:3478?transport=tcp --username 1790000600:myapp --password <password>',
        'orama turn check stun:192.0.2.1',
      ),
    )
    .action(withContext(check));
}

async function check(context: Context, uri: string | undefined, options: CheckCommandOptions): Promise<void> {
  const plan = await planOf(context, uri, options);
  const progress = context.output.progress('checking TURN');
  const checks: (CheckResult | CheckFailure)[] = [];
  try {
    await withInterrupt(async (signal) => {
      for (const each of plan.uris) {
        progress.update(`checking ${each.uri}`);
        checks.push(
          await checkTurn({
            uri: each.uri,
            server: each.server,
            ...plan.login,
            insecure: options.insecure ?? false,
            relay: options.relay,
            packets: options.packets,
            timeoutMs: options.timeout * 1000,
            signal,
          }).catch((thrown: unknown) => {
            if (thrown instanceof CheckFailure && !signal.aborted) return thrown;
            throw signal.aborted ? signal.reason : thrown;
          }),
        );
      }
    });
  } finally {
    progress.stop();
  }
  if (uri === undefined) {
    const checked = checks.map((each) => (each instanceof CheckFailure ? each.result : each).resolve?.address);
    for (const [address, why] of plan.login.down ?? [])
      if (!checked.includes(address)) context.output.note(`not checked: ${why}`);
  }
  // Of a single server it is said below what failed.
  const text = () => checks.map((each) => describeCheck(each, checks.length > 1)).join('\n\n');
  const [first, ...others] = checks.filter((each) => each instanceof CheckFailure);
  if (first) {
    context.output.note(`${text()}\n`);
    throw new ChecksFailed(checks, [first, ...others]);
  }
  context.output.result({ checks }, text);
}

/** What is checked, and with which credentials. Throws INVALID_REQUEST naming the option that is missing or too much. */
async function planOf(context: Context, uri: string | undefined, options: CheckCommandOptions) {
  const { namespace, username, password } = options;
  if (namespace !== undefined && (username !== undefined || password !== undefined)) {
    throw usage('--namespace fetches its own credentials', 'leave out --username and --password, or --namespace');
  }
  if ((username === undefined) !== (password === undefined)) {
    throw usage(`--${username === undefined ? 'username' : 'password'} is missing`, 'give both, or --namespace');
  }
  if (username === '' || password === '')
    throw usage(`--${username === '' ? 'username' : 'password'} is empty`, 'give both, or --namespace');
  const fetched = namespace === undefined ? undefined : await fetchLogin(context, namespace);
  const given = uri === undefined ? (fetched?.uris ?? []) : [uri];
  if (given.length === 0) {
    throw usage('no server was named', 'give a URI such as turn:192.0.2.1:3478, or --namespace');
  }
  const uris = given.map((each) => ({ uri: each, server: parseUri(each) }));
  const login: Login & { password?: string } = fetched
    ? fetched.login
    : username !== undefined && password !== undefined
      ? { username, password }
      : {};
  if (uris.some(({ server }) => server.relays) && Object.keys(login).length === 0) {
    throw usage('a TURN server wants credentials', 'give --username and --password, or --namespace');
  }
  return { uris, login };
}

/** Fresh credentials of a namespace, its URIs, and which of its servers the cluster knows not to serve. */
async function fetchLogin(context: Context, namespace: string) {
  const client = connect(context);
  const { uris, username, password } = await client.turnCredentials(namespace);
  const { services } = await client.webrtcStatus(namespace);
  const down = new Map(
    services.flatMap(({ service, healthy, node, address, reason, observed }) =>
      service === 'turn' && !healthy ? [[address, `${node} serves no TURN now: ${reason ?? observed}`]] : [],
    ),
  );
  return { uris, login: { username, password, namespace, down } };
}

function parseUri(text: string) {
  const parsed = stunUriSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw usage(`the URI ${text} cannot be used: ${parsed.error.issues[0]?.message}`, 'see "orama turn check --help"');
}

function usage(message: string, hint: string): UserError {
  return new UserError('INVALID_REQUEST', message, { hint });
}
