import type { Codec } from '../rtc/codecs.ts';
import type { UplinkEncoding } from '../rtc/sections.ts';
import { PayloadReader } from '../rtp/codecs/reader.ts';
import type { SenderReport } from '../rtp/rtcp/packets.ts';
import { KeyFrameRequests } from './key-frames.ts';
import { LayerRates } from './layer-rates.ts';
import { NackTracker } from './nack-tracker.ts';
import { PacketCache } from './packet-cache.ts';
import { RateMeter } from './rate-meter.ts';
import { Reception } from './reception.ts';

/** A second and a half of 16 Mbit/s, of 680 kbit/s. */
const VIDEO_CACHE_BYTES = 3_000_000;
const AUDIO_CACHE_BYTES = 131_072;
/** A stream of which nothing came for so long, and for so many of its pictures, has stopped, not just stumbled. */
const SILENT_MS = 500;
const SILENT_PICTURES = 2.5;
/** Where the smallest layer goes on, so many of its pictures tell that sooner, after so long at least. */
const MISSED_PICTURES = 4;
const MISSED_MS = 150;
/** What a picture of so many pixels takes at 30 frames a second, roughly, in bit/s. */
const BPS_PER_PIXEL = 1.8;
/** The same where not even the size is known, by place among the layers. */
const UNKNOWN_BPS = [150_000, 500_000, 1_500_000];

/** One RTP stream of a publication: the whole of it, or one simulcast layer (RFC 8853). */
export class Encoding {
  /** Place among the publication's encodings, 0 for the smallest picture. */
  index = 0;
  /** Name of the simulcast layer; undefined without simulcast. */
  readonly rid: string | undefined;
  /** 0 until it is known: told by the SDP, by the client or by the first packet. */
  ssrc: number;
  /** Of its retransmissions (RFC 4588); 0 until it is known. */
  rtxSsrc: number;
  readonly cache: PacketCache;
  readonly nacks = new NackTracker();
  readonly keyFrames: KeyFrameRequests;
  readonly rate = new RateMeter();
  /** The layers inside it. */
  readonly layers = new LayerRates();
  /** Fills `RtpView.payload` for its packets. */
  payloads: PayloadReader;
  reception: Reception;
  /** The publisher's last sender report, and when it came. */
  senderReport: SenderReport | null = null;
  senderReportMs = Number.NEGATIVE_INFINITY;
  /** Size of the picture in pixels; 0 until the publisher or a key frame told. */
  width = 0;
  height = 0;
  /** Sizes of the spatial layers inside it, from the lowest up, where a key frame told them. */
  sizes: readonly { width: number; height: number }[] = [];
  /** What the publisher's encoder was told to keep below, in bit/s; 0 when it did not tell. */
  maxBitrateBps = 0;
  /** When its last packet came; minus infinity before the first. */
  lastPacketMs = Number.NEGATIVE_INFINITY;
  /** How many pictures of the smallest encoding came since: all encodings show the same ones. */
  missedPictures = 0;
  #codec: Codec;

  /** @param askForKeyFrame sends PLI or FIR for it; false when that was not possible yet */
  constructor({ rid, ssrc, rtxSsrc }: UplinkEncoding, codec: Codec, askForKeyFrame: (encoding: Encoding) => boolean) {
    this.rid = rid;
    this.ssrc = ssrc ?? 0;
    this.rtxSsrc = rtxSsrc ?? 0;
    this.#codec = codec;
    this.payloads = new PayloadReader(codec.name);
    this.cache = new PacketCache(codec.clockRate === 90_000 ? VIDEO_CACHE_BYTES : AUDIO_CACHE_BYTES);
    this.keyFrames = new KeyFrameRequests(() => askForKeyFrame(this), this.nacks);
    this.reception = new Reception(codec.clockRate);
  }

  /** The codec it is sent in now. */
  get codec(): Codec {
    return this.#codec;
  }

  /** Received in the last second or so, in bit/s. */
  get bitrateBps(): number {
    return this.rate.bitsPerSecond;
  }

  /**
   * What these layers inside it take, with everything below them, in bit/s: measured, also some time ago, or guessed
   * where nothing came yet.
   */
  expectedBps(spatial: number, temporal: number): number {
    const measured = this.layers.bitrateBps(spatial, temporal);
    if (measured > 0) return measured;
    if (this.maxBitrateBps > 0) return this.maxBitrateBps;
    if (this.width > 0) return this.width * this.height * BPS_PER_PIXEL;
    return UNKNOWN_BPS[Math.min(this.index, UNKNOWN_BPS.length - 1)] as number;
  }

  /** Whether packets of it come now. */
  isFlowing(nowMs: number): boolean {
    const silentMs = nowMs - this.lastPacketMs;
    if (this.missedPictures >= MISSED_PICTURES && silentMs >= MISSED_MS) return false;
    return silentMs < Math.max(SILENT_MS, this.layers.pictureGapMs * SILENT_PICTURES);
  }

  /** The publisher sends it in another of its codecs from now on. */
  switchCodec(codec: Codec): void {
    this.#codec = codec;
    this.payloads = new PayloadReader(codec.name);
  }

  /** The stream goes on under another SSRC, as a new one: nothing of the old one is known any more. */
  restart(ssrc: number): void {
    this.ssrc = ssrc;
    this.reception = new Reception(this.#codec.clockRate);
    this.payloads = new PayloadReader(this.#codec.name);
    this.nacks.reset();
    this.cache.clear();
    this.senderReport = null;
    this.senderReportMs = Number.NEGATIVE_INFINITY;
  }
}
