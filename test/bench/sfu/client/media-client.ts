import { type NativeTrack, RtcConnection } from '@orama/sfu/rtc';
import { CLIENT_ADDRESS } from '../bed.ts';
import { asksForKeyFrame, buildPacket, buildRemb, nowMs, sentAtMs, ssrcOf } from './packet.ts';

const PAYLOAD_TYPE = 96;
/** What a subscriber tells that it can take; nobody should be held back by it. */
const REMB_BPS = 1_000_000_000;
const FEEDBACK_MS = 1_000;
const CONNECT_TIMEOUT_MS = 20_000;

/** One libdatachannel connection to an SFU, the same for every SFU: it sends one track, or counts what it is sent. */
export class MediaClient {
  readonly connection: RtcConnection;
  readonly connected: Promise<void>;
  /** Settles with the first packet of media. */
  readonly firstPacket: Promise<void>;
  received = 0;
  /** Delays in milliseconds since the last `takeDelays()`. */
  #delays: number[] = [];
  #track: NativeTrack | null = null;
  #ssrc = 0;
  #sequence = 0;
  #keyFrameWanted = true;
  #feedback: NodeJS.Timeout | null = null;
  readonly #connectTimer: NodeJS.Timeout;

  constructor(name: string) {
    const connected = Promise.withResolvers<void>();
    const first = Promise.withResolvers<void>();
    this.connected = connected.promise;
    this.firstPacket = first.promise;
    this.#connectTimer = setTimeout(() => connected.reject(new Error(`${name} did not connect`)), CONNECT_TIMEOUT_MS);
    this.connection = new RtcConnection(
      { name, address: CLIENT_ADDRESS },
      {
        onState: (state) => {
          if (state !== 'connected') return;
          clearTimeout(this.#connectTimer);
          connected.resolve();
        },
        onTrack: (track) => {
          track.onPacket = (packet) => this.#receive(track, packet, first.resolve);
        },
        onFault: (thrown) => connected.reject(thrown),
      },
    );
  }

  /** Adds the track that is sent. */
  addTrack(ssrc: number): void {
    const codec = { name: 'VP8', payloadType: PAYLOAD_TYPE };
    const names = { cname: `c${ssrc}`, streamId: `s${ssrc}`, trackId: `t${ssrc}` };
    this.#track = this.connection.sendTrack({ mid: '0', kind: 'video', ssrcs: [ssrc], ...names, codec });
    this.#ssrc = ssrc;
    this.#track.onPacket = (packet) => {
      if (asksForKeyFrame(packet)) this.#keyFrameWanted = true;
    };
  }

  /** Sends the next packet; false when the connection does not take it. */
  send(size: number): boolean {
    const isKey = this.#keyFrameWanted;
    this.#keyFrameWanted = false;
    return this.#track?.send(buildPacket(this.#ssrc, PAYLOAD_TYPE, this.#sequence++, size, isKey)) ?? false;
  }

  takeDelays(): number[] {
    const delays = this.#delays;
    this.#delays = [];
    return delays;
  }

  close(): void {
    clearTimeout(this.#connectTimer);
    if (this.#feedback) clearInterval(this.#feedback);
    this.connection.close();
  }

  #receive(track: NativeTrack, packet: Buffer, onFirst: () => void): void {
    const ssrc = ssrcOf(packet);
    if (ssrc === null) return;
    this.received++;
    this.#delays.push(nowMs() - sentAtMs(packet));
    if (this.received > 1) return;
    onFirst();
    const tell = () => track.send(buildRemb(ssrc, REMB_BPS));
    tell();
    this.#feedback = setInterval(tell, FEEDBACK_MS);
  }
}
