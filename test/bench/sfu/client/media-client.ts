import { type NativeTrack, RtcConnection } from '@orama/sfu/rtc';
import { CLIENT_ADDRESS } from '../bed.ts';
import { asksForKeyFrame, buildPacket, buildRemb, nowMs, sentAtMs, ssrcOf, stampPacket } from './packet.ts';

const PAYLOAD_TYPE = 96;
/** What a subscriber tells that it can take; nobody should be held back by it. */
const REMB_BPS = 1_000_000_000;
const FEEDBACK_MS = 1_000;
const JOIN_TIMEOUT_MS = 20_000;

/** One libdatachannel connection to an SFU, the same for every SFU: it sends one track, or counts what it is sent. */
export class MediaClient {
  readonly connection: RtcConnection;
  readonly connected: Promise<void>;
  /** Settles when it has seen a packet of every track that it waits for. */
  readonly flowing: Promise<void>;
  readonly #ssrcs = new Set<number>();
  /** Delays in milliseconds since the last `takeDelays()`. */
  #delays: number[] = [];
  #track: NativeTrack | null = null;
  #ssrc = 0;
  #packet: Buffer = Buffer.alloc(0);
  #sequence = 0;
  #keyFrameWanted = true;
  #feedback: NodeJS.Timeout | null = null;
  readonly #timer: NodeJS.Timeout;

  /** @param tracks that it waits for */
  constructor(name: string, tracks: number) {
    const connected = Promise.withResolvers<void>();
    const flowing = Promise.withResolvers<void>();
    this.connected = connected.promise;
    this.flowing = flowing.promise;
    const fail = (thrown: unknown) => {
      connected.reject(thrown);
      flowing.reject(thrown);
    };
    // Who joins asks for one after the other, and may have given up before.
    for (const promise of [this.connected, this.flowing]) promise.catch(() => {});
    this.#timer = setTimeout(() => {
      fail(new Error(`${name} is not connected, or got ${this.#ssrcs.size} of ${tracks} tracks`));
    }, JOIN_TIMEOUT_MS);
    this.connection = new RtcConnection(
      { name, address: CLIENT_ADDRESS },
      {
        onState: (state) => {
          if (state !== 'connected') return;
          connected.resolve();
          if (tracks === 0) clearTimeout(this.#timer);
        },
        onTrack: (track) => {
          track.onPacket = (packet) => {
            if (!this.#receive(track, packet) || this.#ssrcs.size < tracks) return;
            flowing.resolve();
            clearTimeout(this.#timer);
          };
        },
        onFault: fail,
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
    if (this.#packet.length !== size) this.#packet = buildPacket(this.#ssrc, PAYLOAD_TYPE, size);
    stampPacket(this.#packet, this.#sequence++, this.#keyFrameWanted);
    this.#keyFrameWanted = false;
    return this.#track?.send(this.#packet) ?? false;
  }

  takeDelays(): number[] {
    const delays = this.#delays;
    this.#delays = [];
    return delays;
  }

  close(): void {
    clearTimeout(this.#timer);
    if (this.#feedback) clearInterval(this.#feedback);
    this.connection.close();
  }

  /** @returns whether it is the first packet of a track */
  #receive(track: NativeTrack, packet: Buffer): boolean {
    const ssrc = ssrcOf(packet);
    if (ssrc === null) return false;
    this.#delays.push(nowMs() - sentAtMs(packet));
    if (this.#ssrcs.has(ssrc)) return false;
    this.#ssrcs.add(ssrc);
    if (this.#feedback === null) {
      const tell = () => track.send(buildRemb(ssrc, REMB_BPS));
      tell();
      this.#feedback = setInterval(tell, FEEDBACK_MS);
    }
    return true;
  }
}
