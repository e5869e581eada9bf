import { request } from 'node:http';
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
import { PSK_TLS } from './join-token.ts';

const TIMEOUT_MS = 20_000;
const ANSWER_MAX_BYTES = 256 * 1024;

/** Asks the node that a token names to take this machine in. Throws what it answers, or UNAVAILABLE. */
export async function callEnrolment(token: JoinToken, enrolment: EnrolRequest): Promise<EnrolAnswer> {
  let answer: { status: number; body: string };
  try {
    answer = await post(token, JSON.stringify(enrolment));
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

function post({ endpoint, id, secret }: JoinToken, body: string): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(`https://${endpoint}`);
  return new Promise((resolve, reject) => {
    const call = request(
      {
        method: 'POST',
        path: ENROLMENT_PATH,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        createConnection: () =>
          connect({
            ...PSK_TLS,
            host: hostname.replaceAll(/[[\]]/g, ''),
            port: Number(port || 443),
            // The key that both have stands for a certificate.
            checkServerIdentity: () => undefined,
            pskCallback: () => ({ psk: Buffer.from(secret, 'base64url'), identity: id }),
          }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > ANSWER_MAX_BYTES) call.destroy(new Error('the answer is too large'));
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}
