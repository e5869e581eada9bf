import { connect } from 'node:tls';
import { describeError, OramaError } from '@orama/core';
import {
  ENROLMENT_PATH,
  type EnrolAnswer,
  type EnrolRequest,
  enrolAnswerSchema,
  type JoinToken,
} from '@orama/protocol';
import { errorOfAnswer } from '../client/error-of-answer.ts';
import { callHttp, type HttpAnswer } from '../http-call.ts';
import { PSK_TLS, unlessEmpty } from './join-token.ts';

const TIMEOUT_MS = 20_000;
const ANSWER_MAX_BYTES = 256 * 1024;

/** Asks the node that a token names to take this machine in. Throws what it answers, or UNAVAILABLE. */
export async function callEnrolment(token: JoinToken, enrolment: EnrolRequest): Promise<EnrolAnswer> {
  let answer: HttpAnswer;
  try {
    answer = await post(token, JSON.stringify({ ...enrolment, secretFiles: unlessEmpty(enrolment.secretFiles) }));
  } catch (thrown) {
    throw new OramaError('UNAVAILABLE', `joining by ${token.endpoint} failed: ${describeError(thrown)}`, {
      cause: thrown,
      retryable: true,
      hint: `check that the invitation is still open and that TCP gets through to ${token.endpoint}; or take another one: orama node invite`,
    });
  }
  if (answer.status !== 200) throw errorOfAnswer(answer.status, answer.body);
  return enrolAnswerSchema.parse(JSON.parse(answer.body));
}

function post({ endpoint, id, secret }: JoinToken, body: string): Promise<HttpAnswer> {
  const { hostname, port } = new URL(`https://${endpoint}`);
  const open = () =>
    connect({
      ...PSK_TLS,
      host: hostname.replaceAll(/[[\]]/g, ''),
      port: Number(port || 443),
      // The key that both have stands for a certificate.
      checkServerIdentity: () => undefined,
      pskCallback: () => ({ psk: Buffer.from(secret, 'base64url'), identity: id }),
    });
  const limits = { timeoutMs: TIMEOUT_MS, maxBytes: ANSWER_MAX_BYTES };
  return callHttp({ connect: open }, 'POST', ENROLMENT_PATH, { body, ...limits });
}
