// Writes the corpus anew: what Chromium, Firefox and libdatachannel send to an SFU when they publish and listen.
// `node --conditions=source test/fuzz/sfu/record.ts`; needs chromium and firefox-esr.
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { silentLogger } from '@orama/core';
import type { ClientFrame, ServerFrame } from '@orama/protocol';
import { Sfu } from '@orama/sfu';
import {
  type NativeTrack,
  RtcConnection,
  type RtcConnectionOptions,
  type RtcEvents,
  type SendTrackOptions,
} from '@orama/sfu/rtc';
import { type BrowserPage, launchChromium, launchFirefox } from '@orama/testkit';
import type { WebSocket } from 'ws';
import { CORPUS_FOLDER, type Session } from './corpus.ts';
import { configOn, openSocket, SECRET } from './server.ts';

const ADDRESS = '127.86.1.1';
const PAGES_PORT = 8080;
const TALK_MS = 6_000;
/** A packet longer than this says nothing that its beginning does not. */
const CUT_BYTES = 160;
/** Of each stream. */
const RTP_PACKETS = 14;
const RTCP_PACKETS = 32;

/** Packets of every peer by its id. */
const heard = new Map<string, { rtp: Buffer[]; rtcp: Buffer[] }>();

/** Notes what comes before it is handed on. */
class RecordedConnection extends RtcConnection {
  readonly #name: string;

  constructor(options: RtcConnectionOptions, events: RtcEvents) {
    super(options, events);
    this.#name = options.name;
  }

  override sendTrack(options: SendTrackOptions): NativeTrack {
    const track = super.sendTrack(options);
    // Whoever reads the track says so in this turn.
    queueMicrotask(() => {
      const handOn = track.onPacket;
      track.onPacket = (packet) => {
        record(this.#name, packet);
        handOn?.(packet);
      };
    });
    return track;
  }
}

function record(peerId: string, packet: Buffer): void {
  const { rtp, rtcp } = heard.get(peerId) ?? { rtp: [], rtcp: [] };
  heard.set(peerId, { rtp, rtcp });
  const type = packet[1] as number;
  const isRtcp = type >= 192 && type <= 223;
  const same = isRtcp
    ? rtcp.filter((other) => other[1] === type && other.length === packet.length)
    : rtp.filter((other) => other.readUInt32BE(8) === packet.readUInt32BE(8));
  if (same.length >= (isRtcp ? 2 : RTP_PACKETS) || rtcp.length > RTCP_PACKETS) return;
  (isRtcp ? rtcp : rtp).push(Buffer.from(packet.subarray(0, CUT_BYTES)));
}

/**
 * Makes `window.pc`, which sends what a script adds to it. Whoever was let at a microphone gathers candidates of every interface,
 * the loopback one too.
 */
const CLIENT = `
  const canvas = document.createElement('canvas');
  canvas.width = 640;
  canvas.height = 360;
  document.body.append(canvas);
  const painter = canvas.getContext('2d');
  let painted = 0;
  setInterval(() => {
    painter.fillStyle = 'hsl(' + painted++ + ' 90% 50%)';
    painter.fillRect((painted * 7) % 600, (painted * 5) % 320, 40, 40);
  }, 50);
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  const pc = window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const candidates = window.candidates = [];
  pc.onicecandidate = ({ candidate }) => candidate?.candidate && candidates.push(candidate.candidate);
  const camera = () => canvas.captureStream(20).getVideoTracks()[0];
  const prefer = (transceiver, ...names) => {
    const { codecs } = RTCRtpSender.getCapabilities(transceiver.sender.track.kind);
    const rank = ({ mimeType }) => (names.indexOf(mimeType.split('/')[1].toLowerCase()) + 1) || 99;
    transceiver.setCodecPreferences(codecs.toSorted((one, other) => rank(one) - rank(other)));
  };
`;

interface Talk {
  name: string;
  browser: 'chromium' | 'firefox';
  /** Adds tracks and channels to `pc`. */
  script: string;
}
const rids = `[{ rid: 'q', scaleResolutionDownBy: 4 }, { rid: 'h', scaleResolutionDownBy: 2 }, { rid: 'f' }]`;
const TALKS: Talk[] = [
  {
    name: 'chromium-vp8-simulcast',
    browser: 'chromium',
    script: `
      const voice = pc.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendonly' });
      prefer(voice, 'red', 'opus');
      prefer(pc.addTransceiver(camera(), { direction: 'sendonly', sendEncodings: ${rids} }), 'vp8', 'rtx');
      pc.createDataChannel('talk');`,
  },
  {
    name: 'chromium-vp9-svc',
    browser: 'chromium',
    script: `
      const sendEncodings = [{ scalabilityMode: 'L3T3_KEY' }];
      prefer(pc.addTransceiver(camera(), { direction: 'sendonly', sendEncodings }), 'vp9', 'rtx');`,
  },
  {
    name: 'chromium-av1-svc',
    browser: 'chromium',
    script: `
      pc.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendrecv' });
      const sendEncodings = [{ scalabilityMode: 'L2T3' }];
      prefer(pc.addTransceiver(camera(), { direction: 'sendonly', sendEncodings }), 'av1', 'rtx');`,
  },
  {
    name: 'chromium-h264',
    browser: 'chromium',
    script: `
      prefer(pc.addTransceiver(camera(), { direction: 'sendonly' }), 'h264', 'rtx');
      pc.addTransceiver(camera(), { direction: 'sendonly' });`,
  },
  {
    name: 'firefox-vp8-simulcast',
    browser: 'firefox',
    script: `
      pc.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendonly' });
      pc.addTransceiver(camera(), { direction: 'sendonly', sendEncodings: ${rids} });
      pc.createDataChannel('talk');`,
  },
  {
    name: 'firefox-two-cameras',
    browser: 'firefox',
    script: `
      pc.addTransceiver(camera(), { direction: 'sendonly' });
      pc.addTransceiver(camera(), { direction: 'sendonly' });`,
  },
];
/** Listens to the others. */
const LISTEN = `pc.createDataChannel('talk');`;

type Sent = Pick<{ [K in keyof Session]: string[] }, 'offers' | 'answers' | 'candidates'>;

/** A page that speaks with the SFU, its frames carried by this process. */
class Talker {
  readonly sent: Sent = { offers: [], answers: [], candidates: [] };
  readonly #page: BrowserPage;
  readonly #socket: WebSocket;
  #peerId = '';
  #work = Promise.resolve();

  private constructor(page: BrowserPage, socket: WebSocket) {
    this.#page = page;
    this.#socket = socket;
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as ServerFrame;
      this.#work = this.#work.then(() => this.#follow(frame));
    });
  }

  static async start(page: BrowserPage, room: string, script: string): Promise<Talker> {
    await page.goto(`http://${ADDRESS}:${PAGES_PORT}/`);
    await page.evaluate(`(async () => {
      ${CLIENT}
      ${script}
    })()`);
    const socket = openSocket(ADDRESS, { room });
    await once(socket, 'open');
    const talker = new Talker(page, socket);
    talker.#send({ type: 'join' });
    await once(socket, 'message');
    await page.evaluate('pc.setLocalDescription()');
    const sdp = await page.evaluate<string>('pc.localDescription.sdp');
    talker.sent.offers.push(sdp);
    talker.#send({ type: 'offer', sdp });
    return talker;
  }

  async end(): Promise<Session> {
    await this.#work;
    this.sent.candidates.push(...(await this.#page.evaluate<string[]>('candidates')));
    this.#socket.close();
    return sessionOf(this.#peerId, this.sent);
  }

  async #follow(frame: ServerFrame): Promise<void> {
    if (frame.type === 'welcome') this.#peerId = frame.peerId;
    if (frame.type === 'answer')
      await this.#page.evaluate(`pc.setRemoteDescription(${JSON.stringify({ type: 'answer', sdp: frame.sdp })})`);
    if (frame.type !== 'offer') return;
    const sdp = await this.#page.evaluate<string>(`(async () => {
      await pc.setRemoteDescription(${JSON.stringify({ type: 'offer', sdp: frame.sdp })});
      await pc.setLocalDescription();
      return pc.localDescription.sdp;
    })()`);
    this.sent.answers.push(sdp);
    this.#send({ type: 'answer', sdp });
  }

  #send(frame: ClientFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }
}

/** Without what tells the machine that it was recorded on. */
function sessionOf(peerId: string, { offers, answers, candidates }: Sent): Session {
  const { rtp = [], rtcp = [] } = heard.get(peerId) ?? {};
  const texts = (list: string[]) =>
    list.map((text) => text.replace(/\b(?!0\.0\.0\.0|127\.)\d+\.\d+\.\d+\.\d+\b/g, '192.0.2.7'));
  const hex = (list: Buffer[]) => list.map((packet) => packet.toString('hex'));
  return {
    offers: texts(offers),
    answers: texts(answers.slice(-2)),
    candidates: texts(candidates),
    rtp: hex(rtp),
    rtcp: hex(rtcp),
  };
}

function save(name: string, session: Session): void {
  const { rtp, rtcp, offers, answers } = session;
  if (offers.length + answers.length === 0) throw new Error(`${name} sent no description`);
  writeFileSync(join(CORPUS_FOLDER, `${name}.json`), `${JSON.stringify(session, null, 2)}\n`);
  console.log(`${name}: ${offers.length} offers, ${answers.length} answers, ${rtp.length} RTP, ${rtcp.length} RTCP`);
}

mkdirSync(CORPUS_FOLDER, { recursive: true });
const sfu = new Sfu({
  config: configOn(ADDRESS, { forceRelay: false }),
  secret: SECRET,
  logger: silentLogger,
  parts: { connect: (options, events) => new RecordedConnection(options, events) },
});
await sfu.start();
// Microphones are for pages of a server.
const pages = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<body>'));
pages.listen(PAGES_PORT, ADDRESS);
await once(pages, 'listening');
const browsers = { chromium: await launchChromium(), firefox: await launchFirefox() };
for (const { name, browser, script } of TALKS) {
  const [page, audience] = await Promise.all([browsers[browser].newPage(), browsers[browser].newPage()]);
  const listener = await Talker.start(audience, name, LISTEN);
  const talker = await Talker.start(page, name, script);
  await wait(TALK_MS);
  save(name, await talker.end());
  const isFirst = TALKS.find((talk) => talk.browser === browser)?.name === name;
  const listened = await listener.end();
  if (isFirst) save(`${browser}-listening`, listened);
  await Promise.all([page.close(), audience.close()]);
}
await Promise.all([browsers.chromium.close(), browsers.firefox.close()]);
process.exit(0);
