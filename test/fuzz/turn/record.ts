// Writes the corpus anew: what our client, coturn's client, Chromium and Firefox send to a TURN server, one message
// of each shape. `node --conditions=source test/fuzz/turn/record.ts`; needs coturn, chromium and firefox-esr.
import { execFile } from 'node:child_process';
import type { Socket as UdpSocket } from 'node:dgram';
import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BrowserDriver, launchChromium, launchFirefox, TurnClient } from '@orama/testkit';
import { ATTRIBUTE, FrameReader } from '@orama/turn/stun';
import { recordingCredentials, startTurn, TURN_PORT } from '../turn-for-recording.ts';
import { CORPUS_FOLDER } from './corpus.ts';
import { takeApart } from './message.ts';

const PUBLIC_IP = '127.96.1.2';
const RELAY_IP = '127.96.0.2';
const PEER_IP = '127.96.0.3';
/** ChannelData longer than this says nothing that a short one does not. */
const LONGEST_BYTES = 600;

const run = promisify(execFile);
/** Messages of the source that is talking now, by shape. */
let recorded = new Map<string, Buffer>();

function record(transport: string, packet: Buffer): void {
  const message = takeApart(packet);
  const types = message?.attributes.map(({ type }) => type.toString(16)).join('.') ?? '';
  const name = message === undefined ? `${transport}-channel-data` : `${transport}-${message.type.toString(16)}`;
  if (packet.length <= LONGEST_BYTES && !recorded.has(`${name}.${types}`)) {
    recorded.set(`${name}.${types}`, Buffer.from(packet));
  }
}

subscribe('udp.socket', (event) => {
  const { socket } = event as { socket: UdpSocket };
  socket.on('message', (packet) => {
    if (socket.address().address === PUBLIC_IP) record('udp', packet);
  });
});
subscribe('net.server.socket', (event) => {
  const { socket } = event as { socket: Socket };
  if (socket.localAddress !== PUBLIC_IP) return;
  const frames = new FrameReader((frame) => record('tcp', frame));
  socket.on('data', (chunk) => frames.push(chunk));
});

/** Lets one source talk and writes what it said. */
async function recordSource(source: string, talk: () => Promise<void>): Promise<void> {
  recorded = new Map();
  await talk();
  const lines = [...recorded].map(([name, packet]) => `${name} ${packet.toString('hex')}`).sort();
  if (lines.length === 0) throw new Error(`${source} sent nothing`);
  writeFileSync(join(CORPUS_FOLDER, `${source}.hex`), `${lines.join('\n')}\n`);
  console.log(`${source}: ${lines.length} messages`);
}

async function talkAsOurClient(): Promise<void> {
  for (const transport of ['udp', 'tcp'] as const) {
    const { username, password } = recordingCredentials();
    const server = { address: PUBLIC_IP, port: TURN_PORT };
    const client = await TurnClient.open({ transport, server, username, password });
    await client.binding();
    await client.allocate({ lifetimeSec: 900, fill: (writer) => writer.bytes(ATTRIBUTE.evenPort, Buffer.of(0x80)) });
    await client.refresh(600);
    await client.createPermission(PEER_IP);
    await client.createPermission(PEER_IP, '2001:db8::1').catch(() => undefined);
    await client.channelBind(0x4001, PEER_IP, 20_000);
    await client.channelBind(0x4002, '2001:db8::1', 20_000).catch(() => undefined);
    for (const family of [1, 2]) {
      const fill = (writer: Parameters<NonNullable<Parameters<TurnClient['request']>[1]>>[0]) =>
        writer
          .bytes(ATTRIBUTE.requestedTransport, Buffer.of(17, 0, 0, 0))
          .bytes(ATTRIBUTE.requestedAddressFamily, Buffer.of(family, 0, 0, 0));
      await client.request(0x003, fill).catch(() => undefined);
    }
    client.send(PEER_IP, 20_000, Buffer.from('to a peer'));
    client.send('2001:db8::1', 20_000, Buffer.from('to a peer'));
    client.channelData(0x4001, Buffer.from('on a channel'));
    await client.refresh(0);
    await client.close();
  }
}

async function talkAsCoturn(): Promise<void> {
  for (const extra of [[], ['-t'], ['-s'], ['-x'], ['-g'], ['-a'], ['-y', '-c']]) {
    const { username, password } = recordingCredentials();
    const peer = extra.includes('-y') ? [] : ['-e', PEER_IP, '-r', '20000'];
    const sizes = ['-n', '3', '-l', '60', '-m', '2'];
    const user = ['-u', username, '-w', password, '-p', String(TURN_PORT)];
    // It waits for answers of a peer that is not there: what it says before is all that counts.
    await run('turnutils_uclient', [...extra, ...peer, ...sizes, ...user, PUBLIC_IP], { timeout: 8_000 }).catch(
      () => undefined,
    );
  }
  await run('turnutils_stunclient', ['-p', String(TURN_PORT), PUBLIC_IP], { timeout: 8_000 }).catch(() => undefined);
}

async function talkAsBrowser(launch: () => Promise<BrowserDriver>): Promise<void> {
  const browser = await launch();
  const page = await browser.newPage();
  const { username, password } = recordingCredentials();
  const urls = [`stun:${PUBLIC_IP}:${TURN_PORT}`];
  for (const transport of ['udp', 'tcp']) urls.push(`turn:${PUBLIC_IP}:${TURN_PORT}?transport=${transport}`);
  // Gathers through every server, then checks a candidate in the place of the SFU, so that permissions are asked for.
  await page.evaluate(`(async () => {
    const iceServers = ${JSON.stringify(urls.map((url) => ({ urls: url, username, credential: password })))};
    const near = new RTCPeerConnection({ iceServers, iceTransportPolicy: 'relay' });
    const far = new RTCPeerConnection();
    near.createDataChannel('talk');
    await near.setLocalDescription();
    await far.setRemoteDescription(near.localDescription);
    await far.setLocalDescription();
    await near.setRemoteDescription(far.localDescription);
    await near.addIceCandidate({ candidate: 'candidate:1 1 udp 2130706431 ${PEER_IP} 20000 typ host', sdpMid: '0' });
    const gathered = new Promise((resolve) => {
      near.onicegatheringstatechange = () => near.iceGatheringState === 'complete' && resolve();
    });
    const time = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    await Promise.race([gathered, time(10000)]);
    await time(4000);
    near.close();
    far.close();
    await time(500);
  })()`);
  await browser.close();
}

const closeTurn = await startTurn({
  publicIp: PUBLIC_IP,
  relayIp: RELAY_IP,
  peer: { ip: PEER_IP, portStart: 20_000, portEnd: 20_009 },
  allowPublicPeers: true,
});
await recordSource('our-client', talkAsOurClient);
await recordSource('coturn', talkAsCoturn);
await recordSource('chromium', () => talkAsBrowser(launchChromium));
await recordSource('firefox', () => talkAsBrowser(launchFirefox));
await closeTurn();
process.exit(0);
