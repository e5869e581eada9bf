import { once } from 'node:events';
import type { ClientFrame, ServerFrame } from '@orama/protocol';
import type { BrowserPage } from '@orama/testkit';
import type { WebSocket } from 'ws';
import type { Session } from '../corpus.ts';
import { openSocket } from '../server.ts';
import { RECORDED_ADDRESS, type Sent, sessionOf } from './recording.ts';

/**
 * Makes `window.pc`, which sends what a script adds to it. Chromium gathers candidates of every interface, the loopback one
 * too, once it was let at a microphone; Firefox needs the relay of `ice`.
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
  const pc = window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...ice });
  const candidates = window.candidates = [];
  pc.onicecandidate = ({ candidate }) => candidate?.candidate && candidates.push(candidate.candidate);
  const camera = () => canvas.captureStream(20).getVideoTracks()[0];
  const prefer = (transceiver, ...names) => {
    const { codecs } = RTCRtpSender.getCapabilities(transceiver.sender.track.kind);
    const rank = ({ mimeType }) => (names.indexOf(mimeType.split('/')[1].toLowerCase()) + 1) || 99;
    transceiver.setCodecPreferences(codecs.toSorted((one, other) => rank(one) - rank(other)));
  };
`;

/** Where a client of a browser is played. */
export interface Stage {
  page: BrowserPage;
  /** An empty page of a server: microphones are for such. */
  url: string;
  /** How `pc` is configured. */
  ice: object;
}

/** A page that speaks with the SFU, its frames carried by this process. */
export class BrowserTalker {
  readonly #sent: Sent = { offers: [], answers: [], candidates: [] };
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

  /** @param script adds tracks and channels to `pc` */
  static async start({ page, url, ice }: Stage, room: string, script: string): Promise<BrowserTalker> {
    await page.goto(url);
    await page.evaluate(`(async () => {
      const ice = ${JSON.stringify(ice)};
      ${CLIENT}
      ${script}
    })()`);
    const socket = openSocket(RECORDED_ADDRESS, { room });
    await once(socket, 'open');
    const talker = new BrowserTalker(page, socket);
    talker.#send({ type: 'join' });
    await once(socket, 'message');
    await page.evaluate('pc.setLocalDescription()');
    const sdp = await page.evaluate<string>('pc.localDescription.sdp');
    talker.#sent.offers.push(sdp);
    talker.#send({ type: 'offer', sdp });
    return talker;
  }

  async end(): Promise<Session> {
    await this.#work;
    this.#sent.candidates.push(...(await this.#page.evaluate<string[]>('candidates')));
    this.#socket.close();
    return sessionOf(this.#peerId, this.#sent);
  }

  async #follow(frame: ServerFrame): Promise<void> {
    if (frame.type === 'error') throw new Error(`${frame.code}: ${frame.message}`);
    if (frame.type === 'welcome') this.#peerId = frame.peerId;
    if (frame.type === 'answer')
      await this.#page.evaluate(`pc.setRemoteDescription(${JSON.stringify({ type: 'answer', sdp: frame.sdp })})`);
    if (frame.type !== 'offer') return;
    const sdp = await this.#page.evaluate<string>(`(async () => {
      await pc.setRemoteDescription(${JSON.stringify({ type: 'offer', sdp: frame.sdp })});
      await pc.setLocalDescription();
      return pc.localDescription.sdp;
    })()`);
    this.#sent.answers.push(sdp);
    this.#send({ type: 'answer', sdp });
  }

  #send(frame: ClientFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }
}
