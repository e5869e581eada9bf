import { type Codec, describesDependencies, payloadTypeInside } from '../rtc/codecs.ts';
import type { RtcTrack } from '../rtc/track.ts';
import { isWanted, temporalFrom } from '../rtp/codecs/layers.ts';
import type { PayloadView } from '../rtp/codecs/payload.ts';
import { PictureNumbers, restoreNumbers } from '../rtp/codecs/picture-numbers.ts';
import { renumberRed } from '../rtp/codecs/red.ts';
import { readForwarded } from '../rtp/extensions.ts';
import { RtpView, writeUint16, writeUint32 } from '../rtp/header.ts';
import { type Downlink, SENT } from './downlink.ts';
import type { Encoding } from './encoding.ts';
import { Numbering } from './numbering.ts';
import type { PacketCache } from './packet-cache.ts';
import { RateMeter } from './rate-meter.ts';
import { type StreamEnd, Timeline } from './timeline.ts';
import { ToldTargets } from './told-targets.ts';

/** Stands for all layers. */
export const EVERY_LAYER = 255;

/** Something of no content, for a number that stands between others. */
const FILLER = Buffer.alloc(12);
FILLER[0] = 0x80;

/** Of a packet whose dependency descriptor was changed. */
const toldView = new RtpView();

export interface ForwarderOptions {
  ssrc: number;
  firstSequence: number;
  /** Where another track ended on the same SSRC; null or absent for the first one. */
  after?: StreamEnd | null | undefined;
  clockRate: number;
  downlink: Downlink;
  /** Another encoding is forwarded from now on, or the same one after a break. */
  onSwitch: (nowMs: number) => void;
}

/** Where packets go: a negotiated track. */
export interface Outgoing {
  track: RtcTrack;
  codec: Codec;
  payloadType: number;
  /** Of the Opus inside RED; undefined where it is the publisher's, and for other codecs. */
  insidePayloadType?: number | undefined;
}

/**
 * One subscriber's packets on their way out: those of one encoding at a time, without the layers that are not wanted,
 * under the subscriber's own numbers. It changes to the awaited encoding when a key frame of that begins.
 */
export class Forwarder {
  readonly ssrc: number;
  readonly numbering: Numbering;
  readonly timeline: Timeline;
  readonly rate = new RateMeter();
  /** What was sent for the first time, for sender reports. */
  packets = 0;
  octets = 0;
  /** By number as it went out, where that is how it may have to go out again; null where nothing is kept. */
  sent: PacketCache | null = null;
  readonly #downlink: Downlink;
  readonly #onSwitch: (nowMs: number) => void;
  #outgoing: Outgoing | null = null;
  #codec: Codec | null = null;
  #current: Encoding | null = null;
  #awaited: Encoding | null = null;
  #substitute: Encoding | null = null;
  /** The timestamps of the awaited encoding go on where the same one stopped. */
  #sameTime = true;
  #last: Encoding | null = null;
  #spatial = EVERY_LAYER;
  #temporal = EVERY_LAYER;
  #wantedSpatial = EVERY_LAYER;
  #wantedTemporal = EVERY_LAYER;
  /** Layers may have to be left out. */
  #limited = false;
  #pictures: PictureNumbers | null = null;
  /** Null where no dependency descriptors are sent. */
  #told: ToldTargets | null = null;
  /** Payload type of the Opus inside RED, the publisher's and the subscriber's; equal where nothing is to be changed. */
  #insideFrom = -1;
  #insideTo = -1;

  constructor(options: ForwarderOptions) {
    this.ssrc = options.ssrc;
    this.#downlink = options.downlink;
    this.#onSwitch = options.onSwitch;
    this.numbering = new Numbering(options.firstSequence);
    this.timeline = new Timeline(options.clockRate, options.after);
  }

  /** What is forwarded; null before the first key frame and while paused. */
  get current(): Encoding | null {
    return this.#current;
  }

  /** What is to be forwarded from its next key frame on; null when that is forwarded already. */
  get awaited(): Encoding | null {
    return this.#awaited;
  }

  get outgoing(): Outgoing | null {
    return this.#outgoing;
  }

  /** Spatial layer inside the encoding that is sent. */
  get spatial(): number {
    return this.#spatial;
  }

  /** Temporal layer that is sent. */
  get temporal(): number {
    return this.#temporal;
  }

  /** Whether more spatial layers inside the encoding are wanted than are sent: only a key frame brings them. */
  get lacksSpatial(): boolean {
    return this.#current !== null && this.#wantedSpatial > this.#spatial;
  }

  /** Sends to `outgoing` from now on; null for nowhere. */
  direct(outgoing: Outgoing | null): void {
    this.#outgoing = outgoing;
    this.#insideFrom = (outgoing && payloadTypeInside(outgoing.codec)) ?? -1;
    this.#insideTo = outgoing?.insidePayloadType ?? this.#insideFrom;
    if (!outgoing || outgoing.codec === this.#codec) return;
    this.#codec = outgoing.codec;
    this.#pictures = outgoing.track.kind === 'video' ? new PictureNumbers(outgoing.codec.name) : null;
    this.#told = describesDependencies(outgoing.codec) ? new ToldTargets() : null;
    // Nothing that was sent in another codec can be repeated.
    this.numbering.forget();
  }

  /**
   * Goes on with `encoding` from its next key frame; what is forwarded now goes on until then.
   * @param substitute is taken meanwhile, from its next key frame on; null when there is no need or none
   * @returns whether a key frame is needed for that which was not before
   */
  await(encoding: Encoding, substitute: Encoding | null): boolean {
    const awaited = encoding === this.#current ? null : encoding;
    const other = substitute === this.#current ? null : substitute;
    const isNew = (awaited !== null && awaited !== this.#awaited) || (other !== null && other !== this.#substitute);
    this.#awaited = awaited;
    this.#substitute = other;
    return isNew;
  }

  /** Sends nothing until `await`. */
  pause(): void {
    this.#current = this.#awaited = this.#substitute = null;
  }

  /** The numbers of `encoding` begin anew: if it is the one, it goes on from its next key frame. */
  resynchronise(encoding: Encoding): void {
    if (encoding === this.#last) this.#sameTime = false;
    if (encoding !== this.#current) return;
    this.#current = null;
    this.#awaited ??= encoding;
  }

  /** The highest layers inside the encoding to send. More spatial layers begin with a key frame. */
  limit(spatial: number, temporal: number): void {
    this.#wantedSpatial = spatial;
    this.#wantedTemporal = temporal;
    this.#limited =
      this.#spatial !== spatial || this.#temporal !== temporal || spatial !== EVERY_LAYER || temporal !== EVERY_LAYER;
  }

  /** Sends one packet on, rewritten in place. The hot path: it allocates nothing. */
  forward(packet: Buffer, view: RtpView, encoding: Encoding, nowMs: number): void {
    const outgoing = this.#outgoing;
    if (outgoing === null || encoding.codec !== outgoing.codec) return;
    const { payload } = view;
    if (payload.startsKeyFrame && (encoding === this.#awaited || encoding === this.#substitute))
      this.#switchTo(encoding, view, nowMs);
    if (encoding !== this.#current) return;
    const before = this.numbering.next;
    const sequence = this.numbering.take(view.sequence);
    if (sequence < 0) return;
    // Padding that the publisher probed its own path with is of no use to others.
    const wanted =
      view.payloadEnd > view.payloadStart && (!this.#limited || this.#wants(payload, before !== this.numbering.next));
    const pictures = this.#pictures;
    const sent = pictures === null ? wanted : pictures.rewrite(packet, payload, wanted);
    if (!sent) {
      if (!this.numbering.giveBack(view.sequence)) this.#fill(outgoing, sequence, view.timestamp, nowMs);
      return;
    }
    const timestamp = (view.timestamp + this.timeline.delta) >>> 0;
    if (before !== this.numbering.next) this.timeline.advance(timestamp, nowMs);
    packet[1] = (this.isMarked(view) ? 0x80 : 0) | outgoing.payloadType;
    writeUint16(packet, 2, sequence);
    writeUint32(packet, 4, timestamp);
    writeUint32(packet, 8, this.ssrc);
    const renumbersInside = this.#insideFrom !== this.#insideTo;
    if (renumbersInside) renumberRed(packet, view, this.#insideFrom, this.#insideTo);
    const told = this.#told === null ? packet : this.#tell(this.#told, packet, view);
    if (this.#downlink.send(outgoing.track, told, told === packet ? view : toldView, SENT.media, nowMs)) {
      this.packets++;
      this.octets += view.payloadEnd - view.payloadStart;
      this.rate.bytes += told.length;
      if (this.sent !== null) this.sent.put(sequence, told, nowMs);
    }
    if (pictures !== null) restoreNumbers(packet, payload);
    if (renumbersInside) renumberRed(packet, view, this.#insideTo, this.#insideFrom);
  }

  /** The marker bit of a packet as it is sent: the highest layer that is sent ends the picture. */
  isMarked({ marker, payload }: RtpView): boolean {
    return marker || (payload.endsFrame && payload.spatialId === this.#spatial);
  }

  /**
   * Gives a packet that is repeated the numbers in its payload that it had, and what its descriptor said.
   * @returns the packet, or a copy that the next one overwrites; null when nobody needs it any more
   */
  renumberPayload(packet: Buffer, view: RtpView): Buffer | null {
    if (this.#insideFrom !== this.#insideTo) renumberRed(packet, view, this.#insideFrom, this.#insideTo);
    if (this.#pictures !== null && !this.#pictures.repeat(packet, view.payload)) return null;
    return this.#told === null ? packet : this.#told.tellAgain(packet, view);
  }

  /** Whether the picture of a packet is left out though later ones were sent: something without content has its number. */
  isLeftOut({ payload }: RtpView): boolean {
    return this.#pictures?.leavesOut(payload) ?? false;
  }

  #tell(targets: ToldTargets, packet: Buffer, view: RtpView): Buffer {
    const isWhole = this.#spatial === EVERY_LAYER && this.#temporal === EVERY_LAYER;
    const told = targets.tell(packet, view, this.#spatial, this.#temporal, isWhole);
    if (told !== packet) readForwarded(told, toldView);
    return told;
  }

  #switchTo(encoding: Encoding, view: RtpView, nowMs: number): void {
    if (encoding === this.#awaited) this.#awaited = null;
    this.#substitute = null;
    this.#current = encoding;
    if (encoding !== this.#last || !this.#sameTime) this.timeline.continueWith(encoding, view.timestamp, nowMs);
    this.#pictures?.switchStream();
    this.#last = encoding;
    this.#sameTime = true;
    this.#spatial = this.#wantedSpatial;
    this.#temporal = this.#wantedTemporal;
    this.numbering.begin(encoding, view.sequence, this.timeline.delta >>> 0);
    this.#onSwitch(nowMs);
  }

  // Fewer spatial layers from the beginning of a picture on, more from a key frame.
  #wants(payload: PayloadView, isNewest: boolean): boolean {
    if (
      payload.startsKeyFrame ||
      (this.#wantedSpatial < this.#spatial && payload.startsFrame && payload.spatialId === 0)
    )
      this.#spatial = this.#wantedSpatial;
    // A late packet changes nothing: pictures that build on its own have been left out already.
    if (isNewest) this.#temporal = temporalFrom(payload, this.#spatial, this.#temporal, this.#wantedTemporal);
    if (this.#spatial === EVERY_LAYER && this.#temporal === EVERY_LAYER) {
      this.limit(this.#wantedSpatial, this.#wantedTemporal);
      return true;
    }
    return isWanted(payload, this.#spatial, this.#temporal);
  }

  #fill(outgoing: Outgoing, sequence: number, timestamp: number, nowMs: number): void {
    FILLER[1] = outgoing.payloadType;
    writeUint16(FILLER, 2, sequence);
    writeUint32(FILLER, 4, (timestamp + this.timeline.delta) >>> 0);
    writeUint32(FILLER, 8, this.ssrc);
    outgoing.track.send(FILLER);
    this.sent?.put(sequence, FILLER, nowMs);
  }
}
