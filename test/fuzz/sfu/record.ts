// Writes the corpus anew, or the sessions that are named: what Chromium, Firefox and libdatachannel send to an SFU when they
// publish and listen. `node --conditions=source test/fuzz/sfu/record.ts [session ...]`; needs chromium, firefox-esr and ffmpeg.
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { silentLogger } from '@orama/core/logger';
import { Sfu } from '@orama/sfu';
import { type BrowserDriver, launchChromium, launchFirefox } from '@orama/testkit';
import { recordingCredentials, startTurn, TURN_PORT } from '../turn-for-recording.ts';
import { CORPUS_FOLDER, type Session } from './corpus.ts';
import { BrowserTalker } from './record/browser-talker.ts';
import { NativeTalker } from './record/native-talker.ts';
import { RECORDED_ADDRESS, RecordedConnection, save } from './record/recording.ts';
import { configOn, idleEventLoop, SECRET } from './server.ts';

const PAGES_PORT = 8080;
/** Firefox gathers no loopback candidates: it comes by way of a relay. */
const TURN_ADDRESS = '127.86.1.2';
const RELAY_ADDRESS = '127.86.1.3';
const TALK_MS = 6_000;

interface Talk {
  name: string;
  client: 'chromium' | 'firefox' | 'libdatachannel';
  /** Of a browser: adds tracks and channels to `pc`. */
  script?: string;
}
const rids = `[{ rid: 'q', scaleResolutionDownBy: 4 }, { rid: 'h', scaleResolutionDownBy: 2 }, { rid: 'f' }]`;
const TALKS: Talk[] = [
  {
    name: 'chromium-vp8-simulcast',
    client: 'chromium',
    script: `
      const voice = pc.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendonly' });
      prefer(voice, 'red', 'opus');
      prefer(pc.addTransceiver(camera(), { direction: 'sendonly', sendEncodings: ${rids} }), 'vp8', 'rtx');
      pc.createDataChannel('talk');`,
  },
  {
    name: 'chromium-vp9-svc',
    client: 'chromium',
    script: `
      const sendEncodings = [{ scalabilityMode: 'L3T3_KEY' }];
      prefer(pc.addTransceiver(camera(), { direction: 'sendonly', sendEncodings }), 'vp9', 'rtx');`,
  },
  {
    name: 'chromium-av1-svc',
    client: 'chromium',
    script: `
      pc.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendrecv' });
      const sendEncodings = [{ scalabilityMode: 'L2T3' }];
      prefer(pc.addTransceiver(camera(), { direction: 'sendonly', sendEncodings }), 'av1', 'rtx');`,
  },
  {
    name: 'chromium-h264',
    client: 'chromium',
    script: `
      prefer(pc.addTransceiver(camera(), { direction: 'sendonly' }), 'h264', 'rtx');
      pc.addTransceiver(camera(), { direction: 'sendonly' });`,
  },
  {
    name: 'firefox-vp8-simulcast',
    client: 'firefox',
    script: `
      pc.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendonly' });
      pc.addTransceiver(camera(), { direction: 'sendonly', sendEncodings: ${rids} });
      pc.createDataChannel('talk');`,
  },
  {
    name: 'firefox-two-cameras',
    client: 'firefox',
    script: `
      pc.addTransceiver(camera(), { direction: 'sendonly' });
      pc.addTransceiver(camera(), { direction: 'sendonly' });`,
  },
  { name: 'libdatachannel-h265', client: 'libdatachannel' },
];
/** Listens to the others. */
const LISTEN = `pc.createDataChannel('talk');`;

interface Talker {
  end(): Promise<Session>;
}

/** How an RTCPeerConnection takes the relay. */
function relayed(): object {
  const { username, password: credential } = recordingCredentials();
  const urls = `turn:${TURN_ADDRESS}:${TURN_PORT}?transport=udp`;
  return { iceServers: [{ urls, username, credential }], iceTransportPolicy: 'relay' };
}

/** Lets one client publish and another of its kind listen. */
async function record(talk: Talk, start: (script: string | undefined) => Promise<Talker>): Promise<void> {
  const listener = await start(undefined);
  const talker = await start(talk.script ?? '');
  await wait(TALK_MS);
  const [said, heard] = [await talker.end(), await listener.end()];
  save(talk.name, said);
  const isFirst = TALKS.find(({ client }) => client === talk.client) === talk;
  if (isFirst) save(`${talk.client}-listening`, heard);
}

mkdirSync(CORPUS_FOLDER, { recursive: true });
const sfu = new Sfu({
  config: configOn(RECORDED_ADDRESS, { forceRelay: false }),
  secret: SECRET,
  logger: silentLogger,
  parts: { connect: (options, events) => new RecordedConnection(options, events), eventLoop: idleEventLoop() },
});
await sfu.start();
// Microphones are for pages of a server.
const pages = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<body>'));
pages.listen(PAGES_PORT, RECORDED_ADDRESS);
await once(pages, 'listening');
const closeTurn = await startTurn({
  publicIp: TURN_ADDRESS,
  relayIp: RELAY_ADDRESS,
  peer: { ip: RECORDED_ADDRESS, portStart: 20_000, portEnd: 20_199 },
});
const browsers = new Map<string, BrowserDriver>();
const named = process.argv.slice(2);
for (const talk of TALKS.filter(({ name }) => named.length === 0 || named.includes(name))) {
  const { name, client } = talk;
  if (client === 'libdatachannel') {
    await record(talk, (script) => NativeTalker.start(name, script !== undefined));
    continue;
  }
  const browser = browsers.get(client) ?? (await (client === 'chromium' ? launchChromium() : launchFirefox()));
  browsers.set(client, browser);
  await record(talk, async (script = LISTEN) => {
    const stage = { url: `http://${RECORDED_ADDRESS}:${PAGES_PORT}/`, ice: client === 'firefox' ? relayed() : {} };
    return BrowserTalker.start({ ...stage, page: await browser.newPage() }, name, script);
  });
}
for (const browser of browsers.values()) await browser.close();
await closeTurn();
process.exit(0);
