import { describeError, OramaError } from '@orama/core';
import type { ErrorCode } from '@orama/protocol';
import { TurnError } from '@orama/turn/client';
import type { CheckResult } from './result.ts';

type Step = 'resolve' | 'connect' | 'trust' | 'binding' | 'allocate' | 'bind' | 'relay';

interface Explanation {
  code: ErrorCode;
  message: string;
  hint: string;
}

/** Whose credentials a check has. */
export interface Login {
  username?: string;
  /** The namespace that they were fetched for, just now. */
  namespace?: string;
  /** Why servers of the namespace do not serve it now, as far as the cluster knows, by their address. */
  down?: ReadonlyMap<string, string>;
}

/** A check that did not get to its end: at which step and why, with what was measured before and the next step to take. */
export class CheckFailure extends OramaError {
  readonly step: Step;
  /** What was measured before. */
  readonly result: CheckResult;

  constructor(step: Step, result: CheckResult, login: Login, cause: unknown) {
    const { code, message, hint } =
      cause instanceof TurnError ? explainRefusal(step, result, login, cause) : explain(step, result, cause);
    const known = step === 'trust' ? undefined : login.down?.get(result.resolve?.address ?? '');
    super(code, message, { hint: known ?? hint, cause });
    this.step = step;
    this.result = result;
  }

  /** Where it ended and why, for a machine. */
  get verdict(): { step: string; code: string; message: string; hint: string | undefined } {
    const { step, code, message, hint } = this;
    return { step, code, message, hint };
  }
}

/** What was measured of a server and, where that did not pass, why. */
export function forMachines(check: CheckResult | CheckFailure): object {
  return check instanceof CheckFailure ? { ...check.result, failed: check.verdict } : check;
}

/** Some servers did not pass: the first one's failure, with what was measured of all. */
export class ChecksFailed extends OramaError {
  constructor(checks: (CheckResult | CheckFailure)[], [first, ...others]: [CheckFailure, ...CheckFailure[]]) {
    const rest = others.length === 0 ? '' : ` (and ${others.length} more of ${checks.length} failed, see above)`;
    const { uri, resolve } = first.result;
    const at = resolve?.addresses === undefined ? '' : ` at ${resolve.address}`;
    super(first.code, `${uri}${at}: ${first.message}${rest}`, {
      cause: first.cause,
      ...(first.hint !== undefined && { hint: first.hint }),
      details: { checks: checks.map(forMachines) },
    });
  }
}

function explain(step: Step, result: CheckResult, cause: unknown): Explanation {
  const why = describeError(cause);
  const { server } = result;
  switch (step) {
    case 'resolve':
      return {
        code: 'UNAVAILABLE',
        message: `the name ${server.host} cannot be resolved: ${why}`,
        hint: 'check the name, and the DNS records of the namespace with "orama namespace webrtc-status"',
      };
    case 'connect':
      return {
        code: 'UNAVAILABLE',
        message: `no ${server.transport === 'tls' ? 'TLS' : 'TCP'} connection to ${whereOf(result)}: ${why}`,
        hint: `check that a TURN server listens there and that the firewall lets tcp port ${server.port} in`,
      };
    case 'trust':
      return {
        code: 'FORBIDDEN',
        message: `the certificate is not to be trusted: ${why} (subject ${result.tls?.certificate.subject}, issuer ${result.tls?.certificate.issuer})`,
        hint: 'browsers refuse it as well: give the server a certificate of a public authority; --insecure goes on with this one',
      };
    case 'binding':
    case 'allocate':
    case 'bind':
      return {
        code: 'UNAVAILABLE',
        message: `no answer from ${whereOf(result)} over ${server.transport}: ${why}`,
        hint:
          server.transport === 'udp'
            ? `check that the firewall lets udp port ${server.port} in; try the same with ?transport=tcp`
            : 'check that it is a TURN server that listens there',
      };
    case 'relay':
      return {
        code: 'TIMEOUT',
        message: `the allocation ${result.allocate?.relayed} was made, but ${why}`,
        hint: 'check that the node can reach its own relay address, and that no firewall on it drops the relay ports',
      };
  }
}

function explainRefusal(
  step: Step,
  result: CheckResult,
  login: Login,
  { code: number, message, alternate }: TurnError,
): Explanation {
  const other = alternate ? `; it names ${alternate.address}:${alternate.port} instead` : '';
  const base = { message: message + other };
  if (number === 401 || number === 441) {
    return { ...base, code: 'UNAUTHORIZED', hint: whyUnauthorized(login) };
  }
  if (number === 403 && step === 'bind') {
    return {
      code: 'FORBIDDEN',
      message: `the allocation ${result.allocate?.relayed} was made, but the server refuses it its own relayed address as a peer (403), so that no packet was relayed`,
      hint: 'servers other than ours may do that; --no-relay ends the check with the allocation',
    };
  }
  if (number === 486) {
    return {
      ...base,
      code: 'RATE_LIMITED',
      hint: 'the namespace, the username or this address has as many allocations as it may: raise --max-allocations or --max-allocations-per-username with "orama namespace set webrtc", or turn.maxAllocationsPerSource of the controlplanes',
    };
  }
  if (number === 300 || number === 508) {
    return {
      ...base,
      code: alternate ? 'DRAINING' : 'RATE_LIMITED',
      hint: `the server ${alternate ? 'drains' : 'is full or drains'}: see "orama turn status", or check another server of the namespace`,
    };
  }
  if (number === 403) return { ...base, code: 'FORBIDDEN', hint: 'the log of the TURN server names the rule' };
  return { ...base, code: 'INTERNAL', hint: 'the log of the TURN server says more' };
}

/** What speaks most likely against credentials: servers do not tell. */
function whyUnauthorized({ username = '', namespace }: Login): string {
  if (namespace !== undefined) {
    return `the credentials are fresh, so this server does not serve namespace ${namespace}, or not yet with its present secret: "orama namespace webrtc-status --namespace ${namespace}" shows which servers do`;
  }
  const [, expiresSec, of] = /^(\d+):(.+)$/.exec(username) ?? [];
  if (of === undefined) {
    return 'the username or password is wrong; a server of ours knows usernames <Unix seconds>:<namespace> only, and --namespace gets one';
  }
  const expiresMs = Number(expiresSec) * 1000;
  if (expiresMs <= Date.now()) {
    return `the username expired at ${new Date(expiresMs).toISOString()}; "--namespace ${of}" gets a fresh one`;
  }
  return `the password is wrong, or this server does not serve namespace ${of}; "--namespace ${of}" gets fresh credentials`;
}

function whereOf({ server, resolve }: CheckResult): string {
  return `${resolve?.address ?? server.host} port ${server.port}`;
}
