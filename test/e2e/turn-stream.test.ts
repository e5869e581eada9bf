import { once } from 'node:events';
import { globSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join as joinPath } from 'node:path';
import { turnUri } from '@orama/protocol';
import {
  type BrowserDriver,
  CallPage,
  CertificateAuthority,
  callTurnControl,
  LocalCluster,
  launchChromium,
  launchFirefox,
  type NamespaceAccess,
  UNITS,
  waitUntil,
} from '@orama/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

/** Paths that are unlike others: TURN over TCP alone, and those that end while the call goes on. */
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;
let firefox: BrowserDriver;
let authority: CertificateAuthority;
let doorway: Server;
let open: CallPage[] = [];
let rooms = 0;

/** Of the TURN server of node 1: browsers check certificates by name. */
const NAME = 'turn.ns-stream.orama.test';

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 101 });
  authority = new CertificateAuthority();
  const { publicIp, dataDir } = cluster.node(1);
  const trusting = { authority: authority.certificate, hosts: { [NAME]: publicIp } };
  [chromium, firefox] = await Promise.all([launchChromium(trusting), launchFirefox(trusting)]);
  access = await cluster.createEnabled('stream');
  doorway = await openDoorway(publicIp, Number(new URL(access.origin(1)).port));
  const [socket = ''] = globSync('**/turn*.sock', { cwd: dataDir });
  await callTurnControl(joinPath(dataDir, socket), 'PUT', `/certificates/${NAME}`, authority.issue(NAME));
});
afterEach(async () => {
  await Promise.all(open.map((page) => page.close()));
  open = [];
});
afterAll(async () => {
  await Promise.all([chromium?.close(), firefox?.close()]);
  doorway?.close();
  await cluster?.stop();
  authority?.close();
});

/** The gateway at another address: Firefox is told one for all names, that of the TURN server. */
async function openDoorway(address: string, port: number): Promise<Server> {
  const server = createServer((browser) => {
    const gateway = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [browser, gateway],
      [gateway, browser],
    ] as const)
      one.pipe(other).on('error', () => one.destroy());
  });
  server.listen(port, address);
  await once(server, 'listening');
  return server;
}

/** Gives the page these TURN URIs, as if the namespace offered no others. */
const offering = (...uris: string[]) => `(() => {
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...args) {
      super(...args);
      window.socket = this;
    }
    set onmessage(handler) {
      super.onmessage = (event) => {
        const frame = JSON.parse(event.data);
        if (frame.uris) frame.uris = ${JSON.stringify(uris)};
        handler({ data: JSON.stringify(frame) });
      };
    }
  };
})()`;

async function join(driver: BrowserDriver, name: string, ...uris: string[]): Promise<CallPage> {
  const page = await CallPage.open(driver, access, { room: `stream-${rooms}`, name });
  open.push(page);
  if (uris.length > 0) await page.tab.evaluate(offering(...uris));
  await page.pressJoin();
  return page;
}

test.each([
  ['Chromium', 'tcp', () => chromium],
  ['Chromium', 'tls', () => chromium],
  ['Firefox', 'tcp', () => firefox],
  ['Firefox', 'tls', () => firefox],
] as const)(
  '%s with nothing but TURN over %s sees and hears one over UDP, and is seen and heard, at the first attempt',
  async (_browser, transport, driver) => {
    rooms++;
    const { publicIp } = cluster.node(1);
    const udp = await join(chromium, 'udp');
    const uri = transport === 'tls' ? turnUri(NAME, 5349, 'tls') : turnUri(publicIp, 3478, 'tcp');
    const stream = await join(driver(), 'stream', uri);
    const [there, here] = await Promise.all([udp.waitMedia(1), stream.waitMedia(1)]);
    expect(here.stats).toMatchObject({ connections: 1, local: { type: 'relay', relayProtocol: transport } });
    expect(there.stats).toMatchObject({ connections: 1, local: { type: 'relay', relayProtocol: 'udp' } });
  },
);

test('who only listens, over TURN/TCP in Chromium, sees and hears too: there the SFU offers first', async () => {
  rooms++;
  const talker = await join(chromium, 'talker');
  await waitUntil(
    'the talker to send',
    () => talker.stats(),
    ({ outbound }) => outbound.some(({ framesEncoded }) => framesEncoded > 0),
  );
  const listener = await CallPage.open(chromium, access, { room: `stream-${rooms}`, name: 'listener' });
  open.push(listener);
  await listener.tab.evaluate(offering(turnUri(cluster.node(1).publicIp, 3478, 'tcp')));
  await listener.tab.evaluate('navigator.mediaDevices.getUserMedia = () => Promise.resolve(new MediaStream())');
  await listener.pressJoin();
  const { stats } = await listener.waitMedia(1);
  expect(stats).toMatchObject({ connections: 1, local: { type: 'relay', relayProtocol: 'tcp' } });
});

/** Counts the leaves that a page is told of. */
const COUNT_LEAVES = `void orama.room.on('participant-left', () => { window.leaves = (window.leaves ?? 0) + 1; })`;
const leavesSeenBy = (page: CallPage) => page.tab.evaluate<number>('window.leaves ?? 0');

/** Media of `ann` has this TURN server only: with three of them, a browser that loses one has the next ready. */
const ONLY_TURN = 1;
const killTurn = () => cluster.killService(ONLY_TURN, UNITS.turn);

async function meet(driver: BrowserDriver): Promise<[CallPage, CallPage]> {
  rooms++;
  const ann = await join(driver, 'ann', turnUri(cluster.node(ONLY_TURN).publicIp, 3478, 'udp'));
  const bob = await join(chromium, 'bob', turnUri(cluster.node(ONLY_TURN + 1).publicIp, 3478, 'udp'));
  await Promise.all([ann.waitMedia(1), bob.waitMedia(1)]);
  await bob.tab.evaluate(COUNT_LEAVES);
  return [ann, bob];
}

test.each([
  ['Chromium', () => chromium],
  ['Firefox', () => firefox],
] as const)(
  '%s whose TURN server dies finds another way in the same connection: nobody sees it leave',
  async (name, driver) => {
    const [ann, bob] = await meet(driver());
    const before = await ann.stats();
    await killTurn();
    const killedAt = performance.now();
    await waitUntil(
      'another relay',
      () => ann.stats(),
      ({ local }) => local !== null && local.port !== before.local?.port,
    );
    await Promise.all([ann.waitMedia(1), bob.waitMedia(1)]);
    console.log(`${name}: media again ${Math.round(performance.now() - killedAt)} ms after its TURN server was killed`);
    expect(await leavesSeenBy(bob)).toBe(0);
    expect((await ann.stats()).connections).toBe(1);
    expect(await ann.others()).toEqual(['bob']);
  },
);

test('a client that loses its socket and its TURN server at once comes back as the same peer, by another way', async () => {
  const [ann, bob] = await meet(chromium);
  const before = await ann.stats();
  const peerId = () => ann.tab.evaluate<string>('orama.room.peerId');
  const same = await peerId();
  await killTurn();
  await ann.tab.evaluate('window.socket.close(4999)');
  await waitUntil(
    'another relay',
    () => ann.stats(),
    ({ local }) => local !== null && local.port !== before.local?.port,
  );
  await Promise.all([ann.waitMedia(1), bob.waitMedia(1)]);
  expect(await leavesSeenBy(bob)).toBe(0);
  expect((await ann.stats()).connections).toBe(1);
  expect(await peerId()).toBe(same);
});

test('a client that does not care for its path is offered an ICE restart by the SFU', async () => {
  const [ann, bob] = await meet(chromium);
  const before = await ann.stats();
  await killTurn();
  // As a plain client would be, which only answers offers.
  await ann.tab.evaluate(`(() => {
    const connection = __connections.at(-1);
    connection.oniceconnectionstatechange = connection.onconnectionstatechange = null;
    connection.getStats = () => Promise.reject(new Error('not looked at'));
  })()`);
  const negotiated = () => ann.tab.evaluate<string>('__connections.at(-1).remoteDescription.sdp');
  await waitUntil('other credentials of the SFU', negotiated, (sdp) => /a=ice-ufrag:[0-9a-f]{8}\r/.test(sdp), {
    timeoutMs: 20_000,
  });
  await ann.tab.evaluate('void delete __connections.at(-1).getStats');
  await Promise.all([ann.waitMedia(1), bob.waitMedia(1)]);
  expect((await ann.stats()).local).not.toEqual(before.local);
  expect(await leavesSeenBy(bob)).toBe(0);
});
