import {
  CallPage,
  LocalCluster,
  launchChromium,
  type NamespaceAccess,
  SignallingClient,
  SlowUdp,
  SyntheticPeer,
  timed,
  waitUntil,
} from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** A lost first flight of DTLS costs a whole second: no set-up and no end of a connection may take that long. */
const STALL_MS = 1_000;
const JOINS = 20;
const TURN_PORT = 3478;
let cluster: LocalCluster;
let access: NamespaceAccess;

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 99 });
  access = await cluster.createEnabled('swift');
});
afterAll(() => cluster?.stop());

/** Script that sends a page's TURN/UDP over the slow ways. */
const detour = (prefix: string) => `{
  const Native = window.RTCPeerConnection;
  const slow = (url) => url.replace(/^turn:${prefix.replaceAll('.', '\\.')}\\.1\\.(\\d+):(.*transport=udp)/, 'turn:${prefix}.8.$1:$2');
  window.RTCPeerConnection = class extends Native {
    constructor(options) {
      super({ ...options, iceServers: options.iceServers.map((each) => ({ ...each, urls: each.urls.map(slow) })) });
    }
  };
  undefined;
}`;

const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] as number;
const show = (values: number[]) =>
  `median ${Math.round(median(values))} ms, worst ${Math.round(Math.max(...values))} ms`;

test('20 connections between libdatachannel and the SFU are set up and ended without the stall of DTLS', async () => {
  const listener = await SignallingClient.open({ ...cluster.signalling(access), room: 'quick' });
  listener.send({ type: 'join', name: 'listener' });
  await listener.next('welcome');
  const setups: number[] = [];
  const ends: number[] = [];
  for (let count = 0; count < JOINS; count += 1) {
    const peer = await SyntheticPeer.join({
      ...cluster.signalling(access, 1 + (count % 3)),
      ...{ room: 'quick', name: `guest-${count}`, transport: 'udp', localAddress: `${cluster.prefix}.9.1` },
    });
    setups.push(peer.setupMs);
    const end = await timed(async () => {
      const left = listener.next('peer-left', { accept: (frame) => frame.peerId === peer.peerId });
      await Promise.all([left, peer.close()]);
    });
    ends.push(end.ms);
  }
  console.log(`set-up of ${JOINS} connections: ${show(setups)}; end: ${show(ends)}`);
  expect(Math.max(...setups)).toBeLessThan(STALL_MS);
  expect(Math.max(...ends)).toBeLessThan(STALL_MS);
  await listener.close();
  await waitUntil(
    'the SFUs to have let go of every media port but that of their front',
    () => cluster.socketsOfSfu('swift').filter((socket) => socket.protocol === 'udp'),
    (sockets) => sockets.length === cluster.state.nodes.length,
  );
});

test('TURN/UDP that answers later than TURN/TCP costs a browser no second attempt', async () => {
  const { prefix } = cluster;
  const chromium = await launchChromium();
  const ways = await Promise.all(
    cluster.state.nodes.map(({ publicIp }, index) =>
      SlowUdp.open({
        listen: { address: `${prefix}.8.${index + 1}`, port: TURN_PORT },
        server: { address: publicIp, port: TURN_PORT },
        delayMs: 150,
      }),
    ),
  );
  try {
    const pages = [
      await CallPage.open(chromium, access, { room: 'slow', name: 'ann' }),
      await CallPage.open(chromium, access, { room: 'slow', name: 'bob' }),
    ];
    for (const page of pages) {
      await page.tab.evaluate(detour(prefix));
      await page.pressJoin();
    }
    for (const page of pages) {
      const { stats } = await page.waitMedia(1);
      expect(stats).toMatchObject({ connections: 1, local: { type: 'relay', relayProtocol: 'udp' } });
    }
  } finally {
    await chromium.close();
    for (const way of ways) way.close();
  }
});
