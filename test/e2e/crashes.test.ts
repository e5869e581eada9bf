import {
  type BrowserDriver,
  CallPage,
  type ConnectionStats,
  killNow,
  LocalCluster,
  launchChromium,
  type NamespaceAccess,
  readDatabase,
  timed,
  UNITS,
  waitFor,
  waitUntil,
} from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** Processes die; they are back within five seconds and two browsers talk on without anybody touching them. */
const BACK_MS = 5_000;
/** Generous to a busy machine, and well before ICE's own consent expires (RFC 7675: 30 s). */
const AGAIN_MS = 20_000;
const NAME = 'crashy';
const ROOM = 'survivors';
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;
let pages: [CallPage, CallPage];

beforeAll(async () => {
  [cluster, chromium] = await Promise.all([LocalCluster.start({ prefix: 91 }), launchChromium()]);
  access = await cluster.createEnabled(NAME);
  await meet();
  await callGoesOn();
});
afterAll(async () => {
  await chromium?.close();
  await cluster?.stop();
});

async function meet(): Promise<void> {
  pages = [
    await CallPage.join(chromium, access, { room: ROOM, name: 'ann', node: 1 }),
    await CallPage.join(chromium, access, { room: ROOM, name: 'bob', node: 2 }),
  ];
}

/** Both pages see and hear each other, again or still. */
async function callGoesOn(): Promise<void> {
  const { ms } = await timed(() => Promise.all(pages.map((page) => page.waitMedia(1, { timeoutMs: 30_000 }))));
  console.log(`both see and hear each other again after ${Math.round(ms)} ms`);
}

async function roomNode(): Promise<number> {
  const { body } = await cluster.gateway(access, 'GET', '/v1/webrtc/rooms');
  const { rooms } = body as { rooms: { room_id: string; node: string }[] };
  return cluster.numberOf(rooms.find((room) => room.room_id === ROOM)?.node as string);
}

/** The node whose TURN server relays for the page: relay addresses are on its WireGuard IP. */
async function turnNode(page: CallPage): Promise<number> {
  const { local } = await page.stats();
  return cluster.state.nodes.findIndex((node) => node.wireguardIp === local?.address) + 1;
}

const isConnected = ({ state, local }: ConnectionStats) => state === 'connected' && local !== null;

const connections = () => Promise.all(pages.map(async (page) => (await page.stats()).connections));

test('kill -9 of the SFU that holds the room: it is back, the pages rejoin by themselves', async () => {
  const node = await roomNode();
  const before = await connections();
  const killed = await cluster.killService(node, UNITS.sfu(NAME));
  const { ms } = await timed(() => cluster.waitRestarted(node, UNITS.sfu(NAME), killed, BACK_MS));
  await waitFor('the SFU to be healthy', () => cluster.sfuHealthy(node, NAME), { timeoutMs: BACK_MS - ms });
  await callGoesOn();
  expect((await connections()).every((count, index) => count > (before[index] as number))).toBe(true);
});

test('kill -9 of the TURN server that relays: it is back with its tenant, the pages rejoin by themselves', async () => {
  const node = await turnNode(pages[0]);
  const killedAtMs = performance.now();
  const killed = await cluster.killService(node, UNITS.turn);
  const { ms } = await timed(() => cluster.waitRestarted(node, UNITS.turn, killed, BACK_MS));
  await waitFor('the tenant to be attached again', () => cluster.turnServes(node, NAME), { timeoutMs: BACK_MS - ms });
  await callGoesOn();
  expect(performance.now() - killedAtMs).toBeLessThan(AGAIN_MS);
});

test('kill -9 of the TURN server that relays, as soon as two have met: they meet again by another one', async () => {
  await Promise.all(pages.map((page) => page.close()));
  await meet();
  for (const page of pages) await waitUntil('a path', () => page.stats(), isConnected);
  const killedAtMs = performance.now();
  await cluster.killService(await turnNode(pages[0]), UNITS.turn);
  await callGoesOn();
  expect(performance.now() - killedAtMs).toBeLessThan(AGAIN_MS);
});

test('kill -9 of a controlplane: it is back, its services never stopped and no call noticed', async () => {
  const before = await connections();
  const services = cluster.services(1);
  const killed = cluster.controlplanePid(1);
  await killNow(killed);
  await waitFor('another controlplane', () => cluster.controlplanePid(1) !== killed, { timeoutMs: BACK_MS });
  await waitFor('its API', () => cluster.run('dev', 'status').then(({ code }) => code === 0), { timeoutMs: BACK_MS });
  await callGoesOn();
  expect(cluster.services(1)).toEqual(services);
  expect(await connections()).toEqual(before);
});

test('kill -9 of a gateway: it is back, and the pages resume on the connection they have', async () => {
  const before = await connections();
  const killed = await cluster.killService(1, UNITS.gateway);
  await cluster.waitRestarted(1, UNITS.gateway, killed, BACK_MS);
  await callGoesOn();
  expect(await connections()).toEqual(before);
});

test('everything killed at once: "orama dev start" brings the namespace back from its state, without another enable', async () => {
  const operations = () => readDatabase(cluster.databaseFile, (db) => db.prepare('SELECT id FROM operations').all());
  const before = operations();
  await cluster.killEverything();
  await cluster.startAgain();
  await cluster.waitHealthy(NAME);
  expect(operations()).toEqual(before);
  await callGoesOn();
});
