import { connect } from 'node:net';
import { OramaError } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { type EnrolAnswer, type EnrolRequest, enrolRequestSchema, type JoinToken } from '@orama/protocol';
import { afterEach, expect, test } from 'vitest';
import { callEnrolment } from './client.ts';
import { formatJoinToken, invitationSecret, parseJoinToken } from './join-token.ts';
import { EnrolmentServer } from './server.ts';

const LISTEN = { address: '127.82.1.1', port: 51_820 };
const KEY = 'the cluster key';
const REQUEST: EnrolRequest = {
  ...{ node: 'node-2', region: 'default', publicIp: null, publicIp6: null },
  network: { kind: 'present', address: '10.0.0.2' },
  secretFiles: [],
};
const { secretFiles: _, ...EARLIER_REQUEST } = REQUEST;
const ANSWER: EnrolAnswer = {
  ...{ clusterKey: KEY, wireguardNetwork: '10.0.0.0/24', wireguardIp: '10.0.0.2', publicIp: '127.0.0.1', peers: [] },
  ...{ members: ['10.0.0.1'], storeCredentials: null, secretFiles: [], shared: {} },
};

let server: EnrolmentServer | undefined;
let asked: unknown[];
afterEach(() => server?.close());

async function serve(ids: string[], answer: () => EnrolAnswer = () => ANSWER): Promise<EnrolmentServer> {
  asked = [];
  const created = new EnrolmentServer({
    clusterKey: KEY,
    listen: LISTEN,
    logger: silentLogger,
    answer: async (invitation, body) => {
      asked.push({ invitation, body: JSON.parse(body) });
      return { status: 200, body: answer() };
    },
  });
  server = created;
  await created.serve(new Set(ids));
  return created;
}

function token(changes: Partial<JoinToken> = {}): JoinToken {
  return {
    ...{ clusterId: 'test', id: 'inv_1', endpoint: `${LISTEN.address}:${LISTEN.port}`, expiresAtMs: 1 },
    ...{ wireguardNetwork: '10.0.0.0/24', keepsPeers: false, secretFiles: [] },
    secret: invitationSecret(KEY, 'inv_1').toString('base64url'),
    ...changes,
  };
}

test('a token is read as it was written, and what is no whole token is refused without being repeated', () => {
  const text = formatJoinToken(token());
  expect(parseJoinToken(` ${text}\n`)).toEqual(token());
  for (const bad of ['', 'orama-join-', text.slice(0, -9), text.replace('join', 'jo1n'), `orama-join-${btoa('{}')}`]) {
    expect(() => parseJoinToken(bad)).toThrow('this is no join token, or only a part of one');
  }
});

test.each(['/etc/orama/a\n/etc/passwd\n/../../../y', '/etc/orama/../passwd', '/etc//orama/x', '/etc/orama/', '/', 'x'])(
  'an answer that names a secret %j is not taken',
  async (path) => {
    await serve(['inv_1'], () => ({ ...ANSWER, secretFiles: [{ path, secret: 'x' }] }));
    await expect(callEnrolment(token(), REQUEST)).rejects.toThrow('use an absolute path');
  },
);

test('who comes with an open invitation is answered, and the answer is for that invitation', async () => {
  await serve(['inv_1', 'inv_2']);
  expect(await callEnrolment(token(), REQUEST)).toEqual(ANSWER);
  expect(asked).toEqual([{ invitation: 'inv_1', body: EARLIER_REQUEST }]);
});

test('without secret files a token, a request and an answer are those of the release before, which knew of none', async () => {
  const { secretFiles: _, ...earlier } = ANSWER;
  await serve(['inv_1'], () => earlier as EnrolAnswer);
  const carried = JSON.parse(atob(formatJoinToken(token()).replace('orama-join-', '')));
  expect(carried).not.toHaveProperty('secretFiles');
  expect(await callEnrolment(parseJoinToken(formatJoinToken(token())), REQUEST)).toEqual(ANSWER);
  expect(enrolRequestSchema.parse(EARLIER_REQUEST)).toEqual(REQUEST);
  const named = { secretFiles: [{ path: '/etc/orama/key', sha256: null }] };
  await callEnrolment(token(), { ...REQUEST, ...named });
  expect(asked).toMatchObject([{ body: EARLIER_REQUEST }, { body: named }]);
});

test.each([
  ['another key', { secret: invitationSecret('another key', 'inv_1').toString('base64url') }],
  ['the key of another invitation', { id: 'inv_2' }],
  ['an invitation that is not open', { id: 'inv_9', secret: invitationSecret(KEY, 'inv_9').toString('base64url') }],
])('who comes with %s gets nowhere', async (_, changes) => {
  await serve(['inv_1', 'inv_2']);
  await expect(callEnrolment(token(changes), REQUEST)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(asked).toEqual([]);
});

test('who does not speak TLS, or another one, is not answered', async () => {
  await serve(['inv_1']);
  const socket = connect(LISTEN.port, LISTEN.address);
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
  });
  socket.write('POST /v1/enrolment HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n');
  await new Promise((resolve) => socket.once('close', resolve));
  expect(received).not.toContain('HTTP');
  await expect(fetch(`https://${LISTEN.address}:${LISTEN.port}/v1/enrolment`)).rejects.toThrow();
  expect(asked).toEqual([]);
});

test('a refusal comes with its reason and the next step', async () => {
  await serve(['inv_1'], () => {
    throw new OramaError('CONFLICT', 'taken', { hint: 'another one' });
  });
  await expect(callEnrolment(token(), REQUEST)).rejects.toMatchObject({ code: 'CONFLICT', hint: 'another one' });
});

test('who is taken in by the last invitation is told so, though it listens no longer', async () => {
  const closing = await serve(['inv_1'], () => {
    void closing.serve(new Set());
    return ANSWER;
  });
  expect(await callEnrolment(token(), REQUEST)).toEqual(ANSWER);
  expect(closing.listens).toBe(false);
});

test('it listens only while an invitation is open', async () => {
  const door = await serve([]);
  expect(door.listens).toBe(false);
  await door.serve(new Set(['inv_1']));
  expect(await callEnrolment(token(), REQUEST)).toEqual(ANSWER);
  await door.serve(new Set());
  await expect(callEnrolment(token(), REQUEST)).rejects.toThrow('ECONNREFUSED');
});
