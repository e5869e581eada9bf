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

/** A check that did not get to its end: at which step and why, with what was measured before and the next step to take. */
export class CheckFailure extends OramaError {
  readonly step: Step;
  /** What was measured before. */
  readonly result: CheckResult;
  /** Whether the server was never reached. */
  readonly unreached: boolean;

  constructor(step: Step, result: CheckResult, cause: unknown) {
    const { code, message, hint } = explain(step, result, cause);
    super(code, `${result.uri}: ${message}`, { hint, cause });
    this.step = step;
    this.result = result;
    this.unreached = step === 'resolve' || step === 'connect' || (isFirstAnswer(step) && !(cause instanceof TurnError));
  }

  /** Where it ended and why, for a machine. */
  get verdict(): { step: string; code: string; message: string; hint: string | undefined } {
    const { step, code, message, hint } = this;
    return { step, code, message, hint };
  }
}

/** Some of several servers did not pass: the first one's failure, with what was measured of all. */
export class ChecksFailed extends OramaError {
  readonly unreached: boolean;

  constructor(first: CheckFailure, checks: (CheckResult | CheckFailure)[]) {
    super(first.code, first.message, {
      cause: first.cause,
      ...(first.hint !== undefined && { hint: first.hint }),
      details: {
        checks: checks.map((check) =>
          check instanceof CheckFailure ? { ...check.result, failed: check.verdict } : check,
        ),
      },
    });
    this.unreached = first.unreached;
  }
}

const isFirstAnswer = (step: Step) => step === 'binding' || step === 'allocate';

function explain(step: Step, result: CheckResult, cause: unknown): Explanation {
  if (cause instanceof TurnError) return explainRefusal(step, result, cause);
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

function explainRefusal(step: Step, result: CheckResult, { code: number, message, alternate }: TurnError): Explanation {
  const other = alternate ? `; it names ${alternate.address}:${alternate.port} instead` : '';
  const base = { message: message + other };
  if (number === 401 || number === 441) {
    return {
      ...base,
      code: 'UNAUTHORIZED',
      hint: 'the username or password is wrong, or its time (the number in front of the username) is over; --namespace gets fresh ones',
    };
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
      hint: 'the namespace has as many allocations as it may: raise --max-allocations with "orama namespace set webrtc"',
    };
  }
  if (number === 300 || number === 508) {
    return {
      ...base,
      code: 'UNAVAILABLE',
      hint: 'the server is full or drains: see "orama turn status", or check another server of the namespace',
    };
  }
  if (number === 403) return { ...base, code: 'FORBIDDEN', hint: 'the log of the TURN server names the rule' };
  return { ...base, code: 'INTERNAL', hint: 'the log of the TURN server says more' };
}

function whereOf({ server, resolve }: CheckResult): string {
  return `${resolve?.address ?? server.host} port ${server.port}`;
}
