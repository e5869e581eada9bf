import {
  type BrowserDriver,
  CallPage,
  LocalCluster,
  launchChromium,
  type NamespaceAccess,
  waitUntil,
} from '@orama/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

/** The SDK as an application uses it: through `window.orama.room`, the room of the call page. */
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;
let ada: CallPage;
let bob: CallPage;
let rooms = 0;
let room: string;

beforeAll(async () => {
  [cluster, chromium] = await Promise.all([LocalCluster.start({ prefix: 97 }), launchChromium()]);
  access = await cluster.createEnabled('sdk');
});
afterAll(async () => {
  await chromium?.close();
  await cluster?.stop();
});

async function meet(): Promise<void> {
  room = `sdk-${++rooms}`;
  ada = await CallPage.join(chromium, access, { room, name: 'Ada' });
  bob = await CallPage.join(chromium, access, { room, name: 'Bob' });
  await Promise.all([ada.waitMedia(1), bob.waitMedia(1)]);
}
afterEach(async () => {
  await Promise.all([ada, bob].map((page) => page.close()));
});

/** What `page` sees of the only other participant's tracks: `camera`, or `camera (muted)`. */
async function tracksSeenBy(page: CallPage): Promise<string[]> {
  return await page.tab.evaluate(`[...orama.room.participants.values()].flatMap(({ tracks }) =>
    [...tracks.values()].filter((track) => track.mediaStreamTrack)
      .map((track) => track.source + (track.muted ? ' (muted)' : ''))).sort()`);
}

function whenSeenBy(page: CallPage, tracks: string[]): Promise<string[]> {
  const wanted = JSON.stringify([...tracks].sort());
  return waitUntil(
    `${page.name} to see ${wanted}`,
    () => tracksSeenBy(page),
    (seen) => JSON.stringify(seen) === wanted,
  );
}

const PAINT = `(() => {
  const canvas = document.createElement('canvas');
  canvas.width = 320;
  canvas.height = 180;
  const context = canvas.getContext('2d');
  setInterval(() => {
    context.fillStyle = 'hsl(' + (performance.now() / 10) % 360 + ' 60% 50%)';
    context.fillRect(0, 0, 320, 180);
  }, 50);
  return canvas.captureStream(20).getVideoTracks()[0];
})()`;

/** Publishes a moving picture; resolves with what `publish()` came to: `ok`, or the code of its error. */
function publish(page: CallPage, source: string): Promise<string> {
  return page.tab.evaluate(
    `orama.room.publish(${PAINT}, { source: '${source}' }).then(() => 'ok', ({ code }) => code)`,
  );
}

function unpublish(page: CallPage, source: string): Promise<void> {
  return page.tab.evaluate(
    `void orama.room.unpublish(orama.room.localTracks.find((track) => track.source === '${source}'))`,
  );
}

/** A tone that is silent until `loudness` is turned up. */
const SILENCE = `(() => {
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const destination = audio.createMediaStreamDestination();
  window.loudness = audio.createGain();
  window.loudness.gain.value = 0;
  tone.connect(window.loudness).connect(destination);
  tone.start();
  return destination.stream.getAudioTracks()[0];
})()`;

interface Sound {
  packetsPerSecond: number;
  /** What came though it had come before, as all copies in RED do; undefined for what is sent. */
  repeated: number | undefined;
}

/** What the page sends or receives of the audio that flows, over one second. */
function soundOf(page: CallPage, type: 'inbound-rtp' | 'outbound-rtp'): Promise<Sound> {
  return page.tab.evaluate<Sound>(`(async () => {
    const read = async () => {
      const stats = await __connections.at(-1).getStats();
      const active = __connections.at(-1).getTransceivers()
        .filter(({ currentDirection }) => currentDirection !== 'inactive').map(({ mid }) => mid);
      const stream = [...stats.values()]
        .find((each) => each.type === '${type}' && each.kind === 'audio' && active.includes(each.mid));
      return { ...stream, packets: stream?.packetsSent ?? stream?.packetsReceived ?? 0 };
    };
    const before = await read();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const after = await read();
    return { repeated: after.packetsDiscarded,
      packetsPerSecond: 1000 * (after.packets - before.packets) / (after.timestamp - before.timestamp) };
  })()`);
}

describe('a room', () => {
  test('takes a further track while the call goes on, and lets it go; the next one uses its m-line', async () => {
    await meet();
    const mids = () => ada.tab.evaluate<number>('__connections.at(-1).getTransceivers().length');
    const freeMids = () =>
      ada.tab.evaluate<number>(
        `__connections.at(-1).getTransceivers().filter((each) => each.currentDirection === 'inactive').length`,
      );
    expect(await publish(ada, 'screen')).toBe('ok');
    await whenSeenBy(bob, ['camera', 'microphone', 'screen']);
    const before = await mids();
    await unpublish(ada, 'screen');
    await whenSeenBy(bob, ['camera', 'microphone']);
    await waitUntil('Ada to know that her m-line is free', freeMids, Boolean);
    expect(await publish(ada, 'slides')).toBe('ok');
    await whenSeenBy(bob, ['camera', 'microphone', 'slides']);
    expect(await mids()).toBe(before);
    const decoding = await waitUntil(
      'Bob to decode two pictures',
      () => bob.stats(),
      ({ inbound }) => inbound.filter(({ kind, framesDecoded }) => kind === 'video' && framesDecoded > 10).length === 2,
    );
    expect(decoding.connections).toBe(1);
  });

  test('sends next to nothing in silence (DTX), and every packet again in the next one (RED), where that is asked for', async () => {
    await meet();
    await ada.tab.evaluate(`void orama.room.unpublish(orama.room.localTracks.find(({ kind }) => kind === 'audio'))`);
    await ada.tab.evaluate(
      `orama.room.publish(${SILENCE}, { source: 'whisper', codec: 'RED', dtx: true }).then(() => true)`,
    );
    await waitUntil(
      'Ada to send next to nothing',
      () => soundOf(ada, 'outbound-rtp'),
      ({ packetsPerSecond }) => packetsPerSecond > 0 && packetsPerSecond < 10,
    );
    await ada.tab.evaluate('void (window.loudness.gain.value = 0.5)');
    const heard = await waitUntil(
      'Bob to get all of the sound',
      () => soundOf(bob, 'inbound-rtp'),
      ({ packetsPerSecond }) => packetsPerSecond > 40,
    );
    expect(heard.repeated).toBeGreaterThan(30);
  });

  test('refuses tracks beyond its limit with the reason, and keeps those it has', async () => {
    await meet();
    const results = await Promise.all(Array.from({ length: 15 }, (_, index) => publish(ada, `extra-${index}`)));
    expect(results.filter((result) => result === 'ok')).toHaveLength(14);
    expect(results.filter((result) => result !== 'ok')).toEqual(['too_many_tracks']);
    await waitUntil(
      'Bob to see all that were taken',
      () => tracksSeenBy(bob),
      (seen) => seen.length === 16,
    );
    expect(await ada.tab.evaluate('orama.room.localTracks.length')).toBe(16);
    expect((await ada.stats()).connections).toBe(1);
  });

  test('tells the others of a mute, and the muted of a forced one', async () => {
    await meet();
    await ada.tab.evaluate('void orama.room.mute(orama.room.localTracks.find(({ kind }) => kind === "audio"))');
    await whenSeenBy(bob, ['camera', 'microphone (muted)']);
    await ada.tab.evaluate('void orama.room.unmute(orama.room.localTracks.find(({ kind }) => kind === "audio"))');
    await whenSeenBy(bob, ['camera', 'microphone']);
    const peerId = await ada.tab.evaluate<string>('orama.room.peerId');
    const path = `/v1/webrtc/rooms/${room}/participants/${peerId}/mute`;
    expect(await cluster.gateway(access, 'POST', path, { body: { muted: true, kind: 'video' } })).toMatchObject({
      status: 200,
    });
    await whenSeenBy(bob, ['camera (muted)', 'microphone']);
    await waitUntil(
      'Ada to know',
      () => ada.tab.evaluate<boolean>('orama.room.localTracks.find(({ kind }) => kind === "video").muted'),
      (muted) => muted,
    );
  });

  test('subscribe() stops one track and starts it again, without touching the other', async () => {
    await meet();
    const subscribe = (enabled: boolean) =>
      bob.tab.evaluate(`void orama.room.subscribe([...orama.room.participants.values()][0].tracks.values()
        .find(({ kind }) => kind === 'video'), ${enabled})`);
    const decoded = async () => (await bob.stats()).inbound.find(({ kind }) => kind === 'video')?.framesDecoded ?? 0;
    const heard = async () => (await bob.stats()).inbound.find(({ kind }) => kind === 'audio')?.packetsReceived ?? 0;
    await subscribe(false);
    let last = -1;
    const stopped = await waitUntil(
      'the picture to stand still',
      async () => {
        const isStill = (await decoded()) === last;
        last = await decoded();
        return isStill;
      },
      (isStill) => isStill,
      { intervalMs: 400 },
    );
    expect(stopped).toBe(true);
    const packets = await heard();
    await waitUntil('the sound to go on', heard, (now) => now > packets + 20);
    expect(await decoded()).toBe(last);
    await subscribe(true);
    await waitUntil('the picture to move again', decoded, (now) => now > last + 10);
  });

  test('sendData() reaches everybody, or the one it is for', async () => {
    await meet();
    await bob.tab.evaluate(`void orama.room.on('data', ({ data, from, direct }) =>
      (window.received ??= []).push([data, from.name, direct]))`);
    await ada.tab.evaluate(`void orama.room.sendData({ a: [1, null] })`);
    await ada.tab.evaluate(`void orama.room.sendData('psst', { to: [...orama.room.participants.keys()][0] })`);
    await waitUntil(
      'Bob to receive both',
      () => bob.tab.evaluate<unknown>('window.received ?? []'),
      (received) => JSON.stringify(received) === '[[{"a":[1,null]},"Ada",false],["psst","Ada",true]]',
    );
  });

  test('says why it is over to whoever is removed, and to all when it is closed; nobody comes back', async () => {
    await meet();
    const message = (page: CallPage) =>
      page.tab.evaluate<string>(`document.getElementById('lobby-message').textContent`);
    const peerId = await ada.tab.evaluate<string>('orama.room.peerId');
    const participants = `/v1/webrtc/rooms/${room}/participants`;
    expect((await cluster.gateway(access, 'DELETE', `${participants}/${peerId}`)).status).toBe(204);
    await waitUntil(
      'Ada to be told',
      () => message(ada),
      (text) => text.startsWith('You were removed'),
    );
    await bob.whenOthersAre([]);
    expect((await cluster.gateway(access, 'DELETE', `/v1/webrtc/rooms?room_id=${room}`)).status).toBe(204);
    await waitUntil(
      'Bob to be told',
      () => message(bob),
      (text) => text === 'The room was closed by its owner.',
    );
    expect(await ada.tab.evaluate('window.orama === undefined')).toBe(true);
  });

  test('shows resolution, frame rate, bit rate and round trip on every tile', async () => {
    await meet();
    const lines = () =>
      ada.tab.evaluate<string[]>(
        `[...document.querySelectorAll('.tile .stats')].map(({ textContent }) => textContent)`,
      );
    const complete = /^\d+×\d+ · \d+ fps · [1-9][\d.]* [kM]bit\/s · \d+ ms(?: · .*layers?.*)?$/;
    await waitUntil('both lines', lines, (seen) => seen.length === 2 && seen.every((line) => complete.test(line)));
  });
});
