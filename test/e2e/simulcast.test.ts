import {
  type BrowserDriver,
  CallPage,
  LocalCluster,
  launchChromium,
  launchFirefox,
  type NamespaceAccess,
  waitFor,
  waitUntil,
} from '@orama/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

/** Simulcast as an application uses it: the SDK of the call page publishes a large moving picture in three layers. */
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;
let firefox: BrowserDriver;
let open: CallPage[] = [];
let rooms = 0;

beforeAll(async () => {
  [cluster, chromium, firefox] = await Promise.all([
    LocalCluster.start({ prefix: 42 }),
    launchChromium(),
    launchFirefox(),
  ]);
  access = await cluster.createEnabled('layers');
});
afterEach(async () => {
  await Promise.all(open.map((page) => page.close()));
  open = [];
});
afterAll(async () => {
  await Promise.all([chromium?.close(), firefox?.close()]);
  await cluster?.stop();
});

/** A listener in Chromium and a publisher that share a room; the publisher's camera is off, its slides are 1280x720. */
async function meet(driver: BrowserDriver, codec?: string): Promise<{ ada: CallPage; bob: CallPage }> {
  const room = `layers-${++rooms}`;
  const ada = await CallPage.open(driver, access, { room, name: 'Ada' });
  open.push(ada);
  await ada.tab.evaluate(KEEP_SOCKET);
  await ada.pressJoin();
  const bob = await CallPage.join(chromium, access, { room, name: 'Bob' });
  open.push(bob);
  await Promise.all([ada.waitMedia(1), bob.waitMedia(1)]);
  for (const page of [ada, bob])
    await page.tab.evaluate(`void orama.room.unpublish(orama.room.localTracks.find(({ kind }) => kind === 'video'))`);
  // The slides may have the m-line that the camera left.
  await waitFor('the m-line of the camera to be free', () =>
    ada.tab.evaluate<boolean>(
      `__connections.at(-1).getTransceivers().some(({ mid, currentDirection }) => currentDirection === 'inactive' && !mid.startsWith('s'))`,
    ),
  );
  const options = JSON.stringify({ source: 'slides', simulcast: true, codec });
  await ada.tab.evaluate(`orama.room.publish(${PAINT}, ${options}).then(() => true)`);
  await waitUntil(
    'Bob to have the slides',
    () => bob.tab.evaluate<boolean>(`${SLIDES}?.mediaStreamTrack !== undefined`),
    (there) => there,
  );
  return { ada, bob };
}

/** Lets a test drop the page's signalling. */
const KEEP_SOCKET = `(() => {
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...args) {
      super(...args);
      window.socket = this;
    }
  };
})()`;
const PAINT = `(() => {
  const canvas = document.createElement('canvas');
  canvas.width = 1280;
  canvas.height = 720;
  const context = canvas.getContext('2d');
  setInterval(() => {
    context.fillStyle = 'hsl(' + (performance.now() / 10) % 360 + ' 60% 50%)';
    context.fillRect((performance.now() / 5) % 1000, 100, 280, 500);
  }, 66);
  return canvas.captureStream(15).getVideoTracks()[0];
})()`;
const SLIDES = `[...orama.room.participants.values()].flatMap(({ tracks }) => [...tracks.values()])
  .find(({ source }) => source === 'slides')`;

interface Layer {
  rid: string;
  active: boolean;
  framesEncoded: number;
  frameWidth: number;
  /** The SFU has reported about it: its packets arrive. */
  arrives: boolean;
}

/** The layers of the slides, as the publisher's browser counts them. */
function layersOf(page: CallPage): Promise<Layer[]> {
  return page.tab.evaluate<Layer[]>(`(async () => {
    const all = [...(await __connections.at(-1).getStats()).values()];
    const heard = new Set(all.filter(({ type }) => type === 'remote-inbound-rtp').map(({ ssrc }) => ssrc));
    const { encodings = [] } = __connections.at(-1).getSenders()
      .find(({ track }) => track?.kind === 'video')?.getParameters() ?? {};
    return all.filter(({ type, kind, rid }) => type === 'outbound-rtp' && kind === 'video' && rid).map((stream) => ({
      rid: stream.rid,
      active: encodings.find(({ rid }) => rid === stream.rid)?.active !== false,
      framesEncoded: stream.framesEncoded ?? 0,
      frameWidth: stream.frameWidth ?? 0,
      arrives: heard.has(stream.ssrc),
    }));
  })()`);
}

/** Takes no higher layer, whatever the size of Bob's tile. */
function limit(page: CallPage, maxLayer: number): Promise<void> {
  const wish = JSON.stringify({ maxLayer, maxWidth: 1280, maxHeight: 720 });
  return page.tab.evaluate(`void orama.room.subscribe(${SLIDES}, true, ${wish})`);
}

/** Width of the slides as decoded. */
function widthSeenBy(page: CallPage): Promise<number> {
  return page.tab.evaluate<number>(`orama.room.stats().then(({ inbound }) =>
    inbound.find(({ trackId }) => trackId === ${SLIDES}.trackId)?.width ?? 0)`);
}

async function expectWidth(bob: CallPage, maxLayer: number): Promise<void> {
  const { width } = LAYERS[maxLayer] as (typeof LAYERS)[number];
  await limit(bob, maxLayer);
  await waitUntil(
    `Bob to see the slides ${width} wide`,
    () => widthSeenBy(bob),
    (seen) => seen === width,
    // A publisher sends a larger layer when it has found its path to take it; Firefox takes its time for that.
    { timeoutMs: 60_000 },
  );
}

/**
 * Waits until Bob sees the layer that he asks for, the publisher knows that it arrives, and of the others only the smallest
 * is sent: there is always that one.
 */
async function expectOnly(ada: CallPage, bob: CallPage, maxLayer: number): Promise<void> {
  const { rid } = LAYERS[maxLayer] as (typeof LAYERS)[number];
  await expectWidth(bob, maxLayer);
  await waitUntil(
    `nothing but ${rid} and the smallest to be sent`,
    () => layersOf(ada),
    (seen) =>
      seen.some((layer) => layer.rid === rid && layer.arrives) &&
      seen.every((layer) => layer.active === (layer.rid === rid || layer.rid === 'q')),
  );
}

const LAYERS = [
  { rid: 'q', width: 320 },
  { rid: 'h', width: 640 },
  { rid: 'f', width: 1280 },
] as const;

describe.each([
  ['Chromium', () => chromium],
  ['Firefox', () => firefox],
] as const)('%s', (_name, driver) => {
  test('publishes a large picture in three layers; each arrives when it is asked for, and of the others only the smallest is on then', async () => {
    const { ada, bob } = await meet(driver());
    for (const maxLayer of [0, 2, 1]) await expectOnly(ada, bob, maxLayer);
  });
});

test('layers go on after a dropped socket, and nothing is negotiated anew', async () => {
  const { ada, bob } = await meet(chromium);
  await expectOnly(ada, bob, 0);
  const described = () => ada.tab.evaluate<string>('__connections.at(-1).localDescription.sdp');
  const before = await described();
  await ada.tab.evaluate(`new Promise((resolve) => {
    orama.room.once('reconnected', ({ resumed }) => resolve(resumed));
    window.socket.close(4999);
  }).then((resumed) => { window.resumed = resumed; })`);
  expect(await ada.tab.evaluate('window.resumed')).toBe(true);
  await expectOnly(ada, bob, 2);
  expect(await described()).toBe(before);
});

test.each(['VP9', 'AV1'])('%s in layers of one stream: each size arrives when it is asked for', async (codec) => {
  const { ada, bob } = await meet(chromium, codec);
  for (const maxLayer of [0, 2, 1]) await expectWidth(bob, maxLayer);
  expect(await sentAs(ada)).toEqual({ mimeType: `video/${codec}`, scalabilityMode: 'L3T3_KEY' });
});

/** Codec and layers of the slides, as the publisher's browser tells. */
function sentAs(page: CallPage): Promise<{ mimeType?: string; scalabilityMode?: string }> {
  return page.tab.evaluate(`(async () => {
    const stats = await __connections.at(-1).getSenders().find(({ track }) => track?.kind === 'video').getStats();
    const sent = [...stats.values()].find(({ type }) => type === 'outbound-rtp');
    return { mimeType: stats.get(sent?.codecId)?.mimeType, scalabilityMode: sent?.scalabilityMode };
  })()`);
}

test('a publisher of H.264 sends something else as soon as somebody without it is there', async () => {
  const room = `layers-${++rooms}`;
  const ada = await CallPage.join(chromium, access, { room, name: 'Ada' });
  const bob = await CallPage.join(chromium, access, { room, name: 'Bob' });
  open.push(ada, bob);
  await Promise.all([ada.waitMedia(1), bob.waitMedia(1)]);
  await ada.tab.evaluate(`orama.room.publish(${PAINT}, { source: 'slides', codec: 'H264' }).then(() => true)`);
  const codecSeenBy = (page: CallPage) => page.tab.evaluate<string | undefined>(`${SLIDES}?.codec`);
  await waitUntil(
    'Bob to see H.264',
    () => codecSeenBy(bob),
    (codec) => codec === 'H264',
  );
  // Debian's Firefox has no H.264.
  const fox = await CallPage.join(firefox, access, { room, name: 'Fox' });
  open.push(fox);
  await waitUntil(
    'Fox to see the slides',
    () => fox.stats(),
    ({ inbound }) => inbound.filter(({ kind, framesDecoded }) => kind === 'video' && framesDecoded > 10).length === 3,
    { timeoutMs: 20_000 },
  );
  expect(await codecSeenBy(fox)).toBe('VP8');
  expect(await fox.tab.evaluate(`${SLIDES}.delivery`)).toBe('flowing');
});
