import {
  type BrowserDriver,
  CAMERA,
  CallPage,
  callGateway,
  LocalCluster,
  launchChromium,
  launchFirefox,
  type NamespaceAccess,
  WhipPage,
  type WhipPageOptions,
  waitUntil,
} from '@orama/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

/** WHIP (RFC 9725) and WHEP with browsers that know nothing of our signalling, through TURN and SFU. */
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;
let firefox: BrowserDriver;
const pages: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  [cluster, chromium, firefox] = await Promise.all([
    LocalCluster.start({ prefix: 46 }),
    launchChromium(),
    launchFirefox(),
  ]);
  access = await cluster.createEnabled('demo');
});
afterEach(async () => {
  await Promise.all(pages.splice(0).map((page) => page.close()));
});
afterAll(async () => {
  await Promise.all([chromium?.close(), firefox?.close()]);
  await cluster?.stop();
});

async function open(driver: BrowserDriver, options: WhipPageOptions): Promise<WhipPage> {
  const page = await WhipPage.open(driver, access, options);
  pages.push(page);
  return page;
}

/** Waits until the page decodes pictures and hears sound: `frames` more than now. */
async function expectToPlay(page: WhipPage, frames = 20): Promise<void> {
  const sum = async () => {
    const { inbound, local } = await page.stats();
    const video = inbound.filter(({ kind }) => kind === 'video').reduce((all, each) => all + each.framesDecoded, 0);
    const audio = inbound.filter(({ kind }) => kind === 'audio').reduce((all, each) => all + each.totalAudioEnergy, 0);
    return { video, audio, local };
  };
  const before = await sum();
  const after = await waitUntil(
    'the page to see and hear',
    sum,
    ({ video, audio }) => video >= before.video + frames && audio > before.audio,
    { timeoutMs: 30_000 },
  );
  expect(after.local?.type).toBe('relay');
}

const participantsOf = async (room: string) => {
  const { body } = await callGateway(access, 'GET', `/v1/webrtc/rooms/${room}/participants`);
  return (body as { participants: { name?: string; tracks: { kind: string }[] }[] }).participants;
};

describe.each([
  ['Chromium', () => chromium, () => firefox],
  ['Firefox', () => firefox, () => chromium],
])('%s', (name, driver, other) => {
  test('publishes by WHIP, trickling through TURN: a call page and WHEP players see and hear it, until it ends', async () => {
    const room = `trickle-${name}`;
    const publisher = await open(driver(), { kind: 'whip', room, query: 'name=studio', trickle: true });
    expect(publisher.opened.status).toBe(201);
    const viewer = await CallPage.join(chromium, access, { room, name: 'ann', node: 2 });
    pages.push(viewer);
    await viewer.waitMedia(1, name === 'Chromium' ? { size: CAMERA } : {});
    expect(await viewer.others()).toEqual(['studio']);
    const player = await open(other(), { kind: 'whep', room, query: 'peer=studio&name=wall', trickle: false, node: 3 });
    await expectToPlay(player);
    const statuses = await publisher.trickled();
    expect(statuses.length).toBeGreaterThan(0);
    expect(new Set(statuses)).toEqual(new Set([204]));

    const ended = viewer.whenOthersAre(['wall']);
    expect(await publisher.end()).toBe(200);
    await ended;
    expect(await player.end()).toBe(200);
  });

  test('restarts ICE while it publishes without trickling; the session goes on', async () => {
    const room = `restart-${name}`;
    const player = await open(other(), { kind: 'whep', room, trickle: true });
    const publisher = await open(driver(), { kind: 'whip', room, trickle: false, node: 2 });
    expect([player.opened.status, publisher.opened.status]).toEqual([201, 201]);
    await expectToPlay(player);
    const relay = async () => (await publisher.stats()).local;
    const before = await relay();
    expect(await publisher.restart()).toBe(200);
    await waitUntil('another relay', relay, (now) => now !== null && now.port !== before?.port);
    await expectToPlay(player);
    expect(await publisher.end()).toBe(200);
  });
});

test('a browser that publishes three layers by WHIP: everybody gets the one that fits, and another when they ask for it', async () => {
  const room = 'layers';
  const publisher = await open(chromium, { kind: 'whip', room, trickle: true, simulcast: true });
  expect(publisher.opened.status).toBe(201);
  const viewer = await CallPage.join(chromium, access, { room, name: 'ann', node: 2 });
  pages.push(viewer);
  const player = await open(firefox, { kind: 'whep', room, trickle: true, node: 3 });
  const track = `[...orama.room.participants.values()].flatMap(({ tracks }) => [...tracks.values()])
    .find(({ kind }) => kind === 'video')`;
  for (const [maxLayer, width, height] of [
    [2, 1280, 720],
    [0, 320, 180],
  ]) {
    const wish = JSON.stringify({ maxLayer, maxWidth: width, maxHeight: height });
    await waitUntil('the track', () => viewer.tab.evaluate<boolean>(`${track} !== undefined`), Boolean);
    await viewer.tab.evaluate(`void orama.room.subscribe(${track}, true, ${wish})`);
    await viewer.waitMedia(1, { size: { width: width as number, height: height as number } });
  }
  await expectToPlay(player);
});

test('a player on the air goes over to the next publisher when the first leaves', async () => {
  const room = 'succession';
  const first = await open(chromium, { kind: 'whip', room, query: 'name=first', trickle: true });
  await waitUntil(
    'the first',
    () => participantsOf(room),
    ([peer]) => peer?.tracks.length === 2,
  );
  const players = [
    await open(chromium, { kind: 'whep', room, trickle: true }),
    await open(firefox, { kind: 'whep', room, trickle: true }),
  ];
  for (const player of players) await expectToPlay(player);
  await open(chromium, { kind: 'whip', room, query: 'name=second', trickle: true });
  await first.end();
  for (const player of players) await expectToPlay(player, 40);
});

test('a client that comes past TURN is removed', async () => {
  const room = 'direct';
  const publisher = await open(chromium, { kind: 'whip', room, trickle: true, relay: false });
  expect(publisher.opened.status).toBe(201);
  await waitUntil(
    'it to leave',
    () => participantsOf(room),
    (participants) => participants.length === 0,
  );
  expect(await publisher.end()).toBe(404);
});

describe('the endpoints', () => {
  const ENDPOINT = '/v1/webrtc/whip/errors';
  const call = (method: string, path: string, type: string | null, body?: string, more: Record<string, string> = {}) =>
    callGateway(access, method, path, {
      ...(body === undefined ? {} : { body }),
      headers: {
        authorization: `Bearer ${access.apiKey}`,
        ...(type === null ? {} : { 'content-type': type }),
        ...more,
      },
    });
  const codeOf = ({ body }: { body: unknown }) => (body as { error: { code: string } }).error.code;

  test('OPTIONS tells what is taken, and with a credential the TURN servers; preflights are answered', async () => {
    const asked = await call('OPTIONS', ENDPOINT, null);
    expect(asked).toMatchObject({ status: 204, headers: { 'accept-post': 'application/sdp' } });
    const links = String(asked.headers.link);
    expect(links).toMatch(/<turn:127\.\d+\.1\.\d:3478\?transport=udp>; rel="ice-server"; username="\d+:demo"; /);
    expect(links).toMatch(/credential="[^"]+"; credential-type="password"/);
    const preflight = await callGateway(access, 'OPTIONS', `${ENDPOINT}/session`, {
      headers: { origin: 'https://studio.example', 'access-control-request-method': 'PATCH' },
    });
    expect(preflight).toMatchObject({
      status: 204,
      headers: { 'access-control-allow-origin': '*', 'accept-patch': 'application/trickle-ice-sdpfrag' },
    });
    expect(preflight.headers['access-control-allow-methods']).toContain('PATCH');
    expect(preflight.headers['access-control-allow-headers']).toContain('if-match');
    expect(preflight.headers.link).toBeUndefined();
  });

  test('what cannot be used is refused with the status that says why', async () => {
    const statuses = [
      await call('POST', ENDPOINT, 'application/json', '{}'),
      await call('POST', ENDPOINT, 'application/sdp', 'v=1'),
      await call('POST', ENDPOINT, 'application/sdp', 'v=0\r\n', { authorization: 'Bearer not-a-key-of-anybody' }),
      await call('GET', ENDPOINT, null),
      await call('PATCH', `${ENDPOINT}/none`, 'application/trickle-ice-sdpfrag', ''),
      await call('PATCH', `${ENDPOINT}/none`, 'application/trickle-ice-sdpfrag', '', { 'if-match': '*' }),
      await call('PATCH', `${ENDPOINT}/none`, 'application/sdp', ''),
      await call('DELETE', `${ENDPOINT}/none`, null),
      await call('POST', ENDPOINT, 'application/sdp', 'v=0\r\n'.repeat(20_000)),
    ].map((answer) => [answer.status, codeOf(answer)]);
    expect(statuses).toEqual([
      [415, 'UNSUPPORTED_MEDIA_TYPE'],
      [400, 'INVALID_REQUEST'],
      [401, 'UNAUTHORIZED'],
      [405, 'METHOD_NOT_ALLOWED'],
      [428, 'PRECONDITION_REQUIRED'],
      [404, 'SESSION_NOT_FOUND'],
      [415, 'UNSUPPORTED_MEDIA_TYPE'],
      [404, 'SESSION_NOT_FOUND'],
      [413, 'PAYLOAD_TOO_LARGE'],
    ]);
    expect(await participantsOf('errors')).toEqual([]);
  });
});
