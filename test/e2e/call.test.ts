import { RESUME_WINDOW_MS } from '@orama/protocol';
import {
  type BrowserDriver,
  CAMERA,
  CallPage,
  LocalCluster,
  launchChromium,
  launchFirefox,
  type NamespaceAccess,
  type Progress,
  SyntheticPeer,
  waitUntil,
} from '@orama/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

/**
 * The main job: real browsers in one room, media by TURN and SFU. How long joins and leaves take is measured by
 * `orama demo --check` (timing.test.ts), over many of them.
 */
/** Somebody who only falls silent stays for longer: who is gone by then was told to be gone. */
const LEAVING = { timeoutMs: RESUME_WINDOW_MS - 5_000 };
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;
let firefox: BrowserDriver;
let open: CallPage[] = [];

beforeAll(async () => {
  [cluster, chromium, firefox] = await Promise.all([
    LocalCluster.start({ prefix: 87 }),
    launchChromium(),
    launchFirefox(),
  ]);
  access = await cluster.createEnabled('demo');
});
afterEach(async () => {
  await Promise.all(open.map((page) => page.close()));
  open = [];
});
afterAll(async () => {
  await Promise.all([chromium?.close(), firefox?.close()]);
  await cluster?.stop();
});

async function join(driver: BrowserDriver, room: string, name: string, node = 1): Promise<CallPage> {
  const page = await CallPage.join(driver, access, { room, name, node });
  open.push(page);
  return page;
}

/** The path of a page's media: its TURN relay on its side, the SFU's WireGuard address on the other. */
function expectRelayed({ stats }: Progress): void {
  const wireguard = cluster.state.nodes.map((node) => node.wireguardIp);
  expect(stats.local).toMatchObject({ type: 'relay', relayProtocol: 'udp' });
  expect(wireguard).toContain(stats.remote?.address);
}

/** By name: the page decodes video and hears audio of exactly these, and shows a tile for each. */
async function expectToReceive(page: CallPage, names: string[]): Promise<void> {
  const { participants } = await page.clientStats<{
    participants: { name: string; video?: { framesDecoded: number }; audio?: { totalAudioEnergy: number } }[];
  }>();
  const received = participants.filter(
    ({ video, audio }) => (video?.framesDecoded ?? 0) > 0 && (audio?.totalAudioEnergy ?? 0) > 0,
  );
  expect(received.map(({ name }) => name).sort()).toEqual(names);
  expect((await page.others()).sort()).toEqual(names);
}

function expectSfuOnWireguardOnly(): void {
  const wireguard = new Set(cluster.state.nodes.map((node) => node.wireguardIp));
  const sockets = cluster.socketsOfSfu('demo');
  expect(sockets.some((socket) => socket.protocol === 'udp')).toBe(true);
  expect(sockets.filter((socket) => !wireguard.has(socket.local.address))).toEqual([]);
}

describe('Chromium', () => {
  test('two pages see and hear each other through TURN and SFU', async () => {
    const pages = [await join(chromium, 'two', 'ann', 1), await join(chromium, 'two', 'bob', 2)];
    for (const seen of await Promise.all(pages.map((page) => page.waitMedia(1, { size: CAMERA })))) expectRelayed(seen);
    expectSfuOnWireguardOnly();
    await expectToReceive(pages[0] as CallPage, ['bob']);
    await expectToReceive(pages[1] as CallPage, ['ann']);
    expect(pages.flatMap((page) => page.tab.errors)).toEqual([]);
  });

  test('a third sees both, who have long been in the call; who leaves is gone at once, by button or by closing the tab', async () => {
    const [ann, bob] = [await join(chromium, 'three', 'ann', 1), await join(chromium, 'three', 'bob', 2)];
    await Promise.all([ann.waitMedia(1), bob.waitMedia(1)]);

    const cyd = await CallPage.open(chromium, access, { room: 'three', name: 'cyd', node: 3 });
    open.push(cyd);
    const joinedAt = await cyd.pressJoin();
    const sawAt = await cyd.whenPicturesOf(2);
    console.log(`late joiner: both pictures after ${sawAt - joinedAt} ms`);
    for (const seen of await Promise.all([ann, bob, cyd].map((page) => page.waitMedia(2, { size: CAMERA }))))
      expectRelayed(seen);
    for (const page of [ann, bob, cyd])
      await expectToReceive(
        page,
        ['ann', 'bob', 'cyd'].filter((name) => name !== page.name),
      );

    const gone = Promise.all([ann.whenOthersAre(['bob'], LEAVING), bob.whenOthersAre(['ann'], LEAVING)]);
    await cyd.leave();
    await gone;
    await Promise.all([ann.waitMedia(1), bob.waitMedia(1)]);

    const alone = ann.whenOthersAre([], LEAVING);
    await bob.close();
    open = open.filter((page) => page !== bob);
    await alone;
  });

  test('a publisher holds its bit rate', async () => {
    const [ann, bob] = [await join(chromium, 'rate', 'ann'), await join(chromium, 'rate', 'bob')];
    const rateOf = async () => {
      const layers = (await ann.stats()).outbound.filter((stream) => stream.kind === 'video');
      const video = layers.sort((one, other) => other.frameWidth - one.frameWidth)[0];
      return {
        frames: video?.framesEncoded ?? 0,
        bytes: video?.bytesSent ?? 0,
        target: video?.targetBitrate ?? 0,
        at: Date.now(),
      };
    };
    // Without feedback Chromium falls to 30 kbit/s within seconds: look after 200 frames, over 100 more.
    const begin = await waitUntil('200 frames', rateOf, ({ frames }) => frames >= 200, { timeoutMs: 30_000 });
    const end = await waitUntil('300 frames', rateOf, ({ frames }) => frames >= 300, { timeoutMs: 30_000 });
    const bps = ((end.bytes - begin.bytes) * 8_000) / (end.at - begin.at);
    console.log(`publisher: ${Math.round(bps / 1000)} kbit/s sent, target ${Math.round(end.target / 1000)} kbit/s`);
    expect(bps).toBeGreaterThan(300_000);
    expect(end.target).toBeGreaterThan(500_000);
    await bob.waitMedia(1);
  });

  test('a camera that is stopped and started again is seen again', async () => {
    const [ann, bob] = [await join(chromium, 'mute', 'ann'), await join(chromium, 'mute', 'bob')];
    await bob.waitMedia(1);
    await ann.toggleCamera();
    const hidden = '[...document.querySelectorAll(".tile.no-video .name")].map((name) => name.textContent)';
    await waitUntil(
      'the picture to be hidden',
      () => bob.tab.evaluate<string[]>(hidden),
      (names) => names.includes('ann'),
    );
    await ann.toggleCamera();
    await bob.whenPicturesOf(1);
    await bob.waitMedia(1);
  });

  test('whoever joins where another left is shown, not only decoded', async () => {
    const stays = await join(chromium, 'door', 'stays');
    for (const name of ['first', 'second', 'third']) {
      const guest = await join(chromium, 'door', name);
      await stays.whenPicturesOf(1);
      const gone = stays.whenOthersAre([]);
      await guest.close();
      await gone;
    }
  });
});

describe('a client over TURN/TCP', () => {
  const synthetic = (name: string, transport: 'udp' | 'tcp') =>
    SyntheticPeer.join({
      ...cluster.signalling(access),
      room: `raw-${transport}`,
      name,
      transport,
      localAddress: `${cluster.prefix}.9.1`,
    });

  test.each(['tcp', 'udp'] as const)(
    'holds a call over %s: every packet it is sent arrives, in order',
    async (transport) => {
      const [one, two] = [await synthetic('one', transport), await synthetic('two', transport)];
      for (const [receiver, sender] of [
        [one, two],
        [two, one],
      ] as const) {
        for (const kind of ['audio', 'video'] as const) {
          const numbers = await waitUntil(
            `100 ${kind} packets`,
            () => receiver.receivedOf(sender.peerId, kind),
            (seen) => seen.length >= 100,
          );
          const first = numbers[0] as number;
          expect(numbers).toEqual(numbers.map((_number, index) => first + index));
        }
      }
      expect(cluster.state.nodes.map((node) => node.wireguardIp)).toContain(one.relayed?.address);
      await Promise.all([one.close(), two.close()]);
    },
  );

  test('reaches a browser: Chromium sees the relay of TURN/TCP as it sees any other peer', async () => {
    const raw = await synthetic('raw', 'tcp');
    const ann = await join(chromium, 'raw-tcp', 'ann');
    await waitUntil(
      'the raw client on a tile',
      () => ann.others(),
      (names) => names.includes('raw'),
    );
    const annId = await raw.signalling.next('peer-joined', { accept: (frame) => frame.name === 'ann' });
    const packets = await waitUntil(
      'packets of the browser',
      () => raw.packetsOf(annId.peerId, 'video'),
      (count) => count >= 50,
    );
    expect(packets).toBeGreaterThanOrEqual(50);
    await raw.close();
  });
});

describe('Firefox', () => {
  test('and Chromium see and hear each other', async () => {
    const [fox, ann] = [await join(firefox, 'mixed', 'fox', 1), await join(chromium, 'mixed', 'ann', 2)];
    const [seenByFox, seenByAnn] = await Promise.all([fox.waitMedia(1), ann.waitMedia(1)]);
    expectRelayed(seenByFox);
    expectRelayed(seenByAnn);
  });

  test('and Firefox see and hear each other, and one that leaves is gone', async () => {
    const [fox, vix] = [await join(firefox, 'foxes', 'fox', 1), await join(firefox, 'foxes', 'vix', 3)];
    for (const seen of await Promise.all([fox.waitMedia(1), vix.waitMedia(1)])) expectRelayed(seen);
    const gone = fox.whenOthersAre([], LEAVING);
    await vix.leave();
    await gone;
  });
});
