import { describeError, UserError } from '@orama/core';
import { EXIT, stunUriSchema } from '@orama/protocol';
import { opaqueString } from '@orama/turn/stun';
import { connect } from '../cluster.ts';
import type { Context } from '../context.ts';
import { Interrupted, withInterrupt } from '../interrupt.ts';
import { checkTurn, type ResolveName } from './check-turn.ts';
import { describeCheck } from './describe.ts';
import { CheckFailure, ChecksFailed, forMachines, type Login } from './failure.ts';
import type { CheckResult } from './result.ts';

/** As the command line of "orama turn check" has them. */
export interface CheckOptions {
  namespace?: string;
  username?: string;
  password?: string;
  insecure?: true;
  relay: boolean;
  packets: number;
  timeout: number;
}

/**
 * Checks one server, or all of a namespace, at each of their addresses, and prints what was measured. Throws ChecksFailed.
 */
export async function runChecks(
  context: Context,
  uri: string | undefined,
  options: CheckOptions,
  resolveName?: ResolveName,
): Promise<void> {
  const plan = await planOf(context, uri, options);
  const progress = await context.output.progress('checking TURN');
  const checks: (CheckResult | CheckFailure)[] = [];
  try {
    await withInterrupt(async (signal) => {
      const check = (each: (typeof plan.uris)[number], address?: string) => {
        progress.update(`checking ${each.uri}${address === undefined ? '' : ` at ${address}`}`);
        const settings = {
          ...each,
          ...(address !== undefined && { address }),
          ...plan.login,
          insecure: options.insecure ?? false,
          relay: options.relay,
          packets: options.packets,
          timeoutMs: options.timeout * 1000,
          signal,
        };
        return checkTurn(settings, resolveName).catch((thrown: unknown) => {
          if (thrown instanceof CheckFailure) return thrown;
          throw thrown;
        });
      };
      for (const each of plan.uris) {
        const first = await check(each);
        checks.push(first);
        // The name of a namespace's TURN servers has the addresses of all of them.
        const { address: checked, addresses = [] } = resultOf(first).resolve ?? {};
        for (const other of addresses) if (other !== checked) checks.push(await check(each, other));
      }
    });
  } catch (thrown) {
    progress.stop();
    if (!(thrown instanceof Interrupted)) throw thrown;
    return tellInterrupted(context, checks, plan.uris.length);
  }
  progress.stop();
  if (uri === undefined) {
    const checked = checks.map((each) => resultOf(each).resolve?.address);
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

function resultOf(check: CheckResult | CheckFailure): CheckResult {
  return check instanceof CheckFailure ? check.result : check;
}

/** Says what was found out before somebody ended the command, and how much of it was not. */
function tellInterrupted(context: Context, checks: (CheckResult | CheckFailure)[], count: number): void {
  const uris = new Set(checks.map((each) => resultOf(each).uri));
  const message = `ended early: ${uris.size} of ${count} checked`;
  context.output.result({ outcome: 'interrupted', message, checks: checks.map(forMachines) }, () =>
    [...checks.map((each) => describeCheck(each, true)), message].join('\n\n'),
  );
  process.exitCode = EXIT.failed;
}

/** What is checked, and with which credentials. Throws INVALID_REQUEST naming the option that is missing or too much. */
async function planOf(context: Context, uri: string | undefined, options: CheckOptions) {
  const { namespace, username, password } = options;
  if (namespace !== undefined && (username !== undefined || password !== undefined)) {
    throw usage('--namespace fetches its own credentials', 'leave out --username and --password, or --namespace');
  }
  if ((username === undefined) !== (password === undefined)) {
    throw usage(`--${username === undefined ? 'username' : 'password'} is missing`, 'give both, or --namespace');
  }
  if (username === '' || password === '')
    throw usage(`--${username === '' ? 'username' : 'password'} is empty`, 'give both, or --namespace');
  requirePreparable('username', username);
  requirePreparable('password', password);
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

/** Throws what speaks against a text that nobody can log in with. */
function requirePreparable(what: 'username' | 'password', text: string | undefined): void {
  try {
    if (text !== undefined) opaqueString(text, what);
  } catch (thrown) {
    throw usage(`--${what} cannot be used: ${describeError(thrown)}`, 'copy it once more, or give --namespace');
  }
}

function usage(message: string, hint: string): UserError {
  return new UserError('INVALID_REQUEST', message, { hint });
}
