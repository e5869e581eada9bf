import { parseTurnUsername } from '@orama/core';
import { EXIT } from '@orama/protocol';
import {
  type BrowserDriver,
  CallPage,
  LocalCluster,
  launchChromium,
  SignallingClient,
  SyntheticPeer,
  UNITS,
  waitFor,
  waitUntil,
} from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** Minutes of credential life in seconds: credentials of 6 s, allocations of 10 s, nonces of 7 s. */
const TTL_SEC = 6;
const ALLOCATION_SEC = 10;
let cluster: LocalCluster;
let chromium: BrowserDriver;

beforeAll(async () => {
  const startOptions = ['--turn-lifetime', String(ALLOCATION_SEC), '--turn-nonce-lifetime', '7'];
  [cluster, chromium] = await Promise.all([LocalCluster.start({ prefix: 93, startOptions }), launchChromium()]);
});
afterAll(async () => {
  await chromium?.close();
  await cluster?.stop();
});

test('a call outlives several credentials, allocations and nonces on the connection it began with', async () => {
  const access = await cluster.createEnabled('brief', '--turn-credential-ttl', String(TTL_SEC));
  const pages = await Promise.all(
    ['ann', 'bob'].map((name) => CallPage.join(chromium, access, { room: 'long', name })),
  );
  const before = await Promise.all(pages.map(async (page) => (await page.waitMedia(1)).stats));

  const listener = await SignallingClient.open({ ...cluster.signalling(access), room: 'long' });
  listener.send({ type: 'join', name: 'listener' });
  const first = await listener.next('turn-credentials');
  expect(first.ttl).toBe(TTL_SEC);
  // Each push comes at 80 % of the life: after seven of them five lives and three allocations are over.
  const pushes = await waitUntil(
    'seven refresh-credentials',
    () => listener.frames.filter((frame) => frame.type === 'refresh-credentials'),
    (frames) => frames.length >= 7,
    { timeoutMs: 7 * TTL_SEC * 1_000 },
  );
  const expiries = [first, ...pushes].map(({ username }) => parseTurnUsername(username)?.expirySec as number);
  expect(expiries.every((expiry, index) => index === 0 || expiry > (expiries[index - 1] as number))).toBe(true);
  expect(new Set(pushes.map((push) => push.password)).size).toBe(pushes.length);
  await listener.close();

  for (const [index, page] of pages.entries()) {
    const { stats, video } = await page.waitMedia(1);
    const earlier = before[index] as typeof stats;
    expect((stats.atMs - earlier.atMs) / 1000).toBeGreaterThan(3 * ALLOCATION_SEC);
    expect(stats.connections).toBe(1);
    // The very allocation of the beginning: same relay address and port, refreshed over and over.
    expect(stats.local).toEqual(earlier.local);
    const decodedBefore = earlier.inbound.find((each) => each.mid === video[0]?.mid)?.framesDecoded ?? 0;
    const seconds = (stats.atMs - earlier.atMs) / 1000;
    expect(((video[0]?.framesDecoded ?? 0) - decodedBefore) / seconds).toBeGreaterThan(10);
  }
});

test('credentials of a session that goes on leave out a TURN server that was drained after the join', async () => {
  const access = await cluster.createEnabled('drained', '--turn-credential-ttl', String(TTL_SEC));
  const listener = await SignallingClient.open({ ...cluster.signalling(access), room: 'long' });
  listener.send({ type: 'join', name: 'listener' });
  const first = await listener.next('turn-credentials');
  const transportsOf = (uris: string[]) => uris.map((uri) => uri.slice(-3));
  expect(transportsOf(first.uris)).toEqual(['udp', 'udp', 'tcp', 'tcp']);
  const pushed = (what: string, ips: string[]) =>
    waitUntil(
      what,
      () => listener.frames.findLast((frame) => frame.type === 'refresh-credentials')?.uris ?? [],
      (uris) => String([...new Set(uris.map((uri) => uri.split(':')[1]))].sort()) === String(ips),
    );
  const ips = (await cluster.status('drained')).services.flatMap(({ service, address }) =>
    service === 'turn' ? [address] : [],
  );
  const [gone = '', left = ''] = ips;
  const node = cluster.state.nodes.find(({ publicIp }) => publicIp === gone)?.id ?? '';
  await cluster.orama('turn', 'drain', '--node', node, '--deadline', '1');
  expect(transportsOf(await pushed('the drained server to be left out', [left]))).toEqual(['udp', 'tcp']);
  await cluster.orama('turn', 'resume', '--node', node);
  await pushed('the resumed server to be named again', ips.sort());
  await listener.close();
});

test('a call goes on over two rotations of the TURN secret; new credentials work at once, former ones to their end', async () => {
  const NS = ['--namespace', 'rotated'];
  const access = await cluster.createEnabled('rotated', '--turn-credential-ttl', String(TTL_SEC));
  const join = (name: string, host: number) =>
    SyntheticPeer.join({
      ...{ ...cluster.signalling(access), room: 'long', name, transport: 'udp' },
      localAddress: `${cluster.prefix}.9.${host}`,
    });
  const [ann, bob] = await Promise.all([join('ann', 1), join('bob', 2)]);
  const sfus = () => [1, 2, 3].map((node) => cluster.pidOf(node, UNITS.sfu('rotated')));
  const before = sfus();
  for (const [index, name] of ['cyd', 'dan'].entries()) {
    const { status } = await cluster.json<{ status: { formerSecretValidUntil: string } }>(
      ...['namespace', 'rotate-secret', 'webrtc', ...NS],
    );
    // Somebody new gets through at once, with credentials of the new secret.
    const guest = await join(name, 3 + index);
    await waitFor('the guest to hear', () => guest.packetsOf(ann.peerId, 'audio') > 0);
    await guest.close();
    if (index > 0) continue;
    const again = await cluster.run('namespace', 'rotate-secret', 'webrtc', ...NS);
    expect(again).toMatchObject({
      code: EXIT.conflict,
      stderr: expect.stringContaining(status.formerSecretValidUntil),
    });
    const ended = () => Date.now() > Date.parse(status.formerSecretValidUntil);
    await waitFor('the former secret to end', ended, { timeoutMs: 3 * TTL_SEC * 1_000 });
  }
  // Their allocations are refreshed with a retired secret, twice as often as they would end.
  const refreshedAtMs = performance.now() + (ALLOCATION_SEC * 1_000) / 2;
  await waitFor('their allocations to be refreshed', () => performance.now() > refreshedAtMs);
  const heard = ann.receivedOf(bob.peerId, 'audio').length;
  await waitFor('ann to go on hearing bob', () => ann.receivedOf(bob.peerId, 'audio').length > heard + 50);
  const numbers = ann.receivedOf(bob.peerId, 'audio');
  expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] as number) + index));
  expect(sfus()).toEqual(before);
  await Promise.all([ann.close(), bob.close()]);
});
