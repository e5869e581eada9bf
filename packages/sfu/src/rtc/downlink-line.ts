import { randomInt } from 'node:crypto';
import type { SdpMedia } from 'sdp-transform';
import type { StreamEnd } from '../media/timeline.ts';
import { type Codec, type PayloadTypes, payloadTypeInside, readCodecs } from './codecs.ts';
import type { DownlinkPlace, DownlinkSpec, StopReason } from './downlink-spec.ts';
import type { LocalSection, RemoteSection } from './sdp.ts';
import {
  acceptedExtensions,
  choiceSection,
  type DownlinkMedia,
  downlinkSection,
  type Extension,
  translatedIds,
} from './sections.ts';
import type { RtcTrack } from './track.ts';

/** Names the stream of m-lines whose tracks come and go without negotiation. */
const PLAYED_STREAM = 'orama';

interface Stream {
  ssrc: number;
  /** Where the next track goes on counting, because SRTP counts by SSRC (RFC 3711 section 3.3.1). */
  firstSequence: number;
}
interface Source extends Stream {
  after: StreamEnd | null;
  /** For retransmissions; used where they are negotiated. */
  rtx: Stream;
}

/** What a line shares with the others of its connection. */
export interface DownlinkLineParts {
  /** The peer's. */
  payloadTypes: PayloadTypes;
  /** The track of an m-line. */
  trackOf: (mid: string) => RtcTrack | undefined;
}

/** An m-line that we send on: one of ours, or one of the peer's own (see `bring`). It carries one track after another. */
export class DownlinkLine {
  readonly way = 'down';
  readonly mid: string;
  readonly kind: 'audio' | 'video';
  readonly #parts: DownlinkLineParts;
  /**
   * The line's own two SSRCs, used in turn. With the SSRC it carried before, Chromium would decode a new track and show
   * nothing; and one that was never named before would cost libdatachannel memory, for good.
   */
  readonly #sources: [Source, Source] = [newSource(), newSource()];
  #spec: DownlinkSpec | null = null;
  #wanted: DownlinkMedia | null = null;
  /** What the peer agreed to receive. */
  #agreed: DownlinkMedia | null = null;
  /** What was wanted last, for the codec of an idle m-line. */
  #last: DownlinkMedia | null = null;
  /** What the peer said to retransmissions, and whether it asks for them. */
  #takesRtx = false;
  #takesNack = false;
  /** The peer paused it. */
  #paused = false;
  #dead = false;
  /** On an m-line of the peer's own, all that was agreed there; empty on ours. */
  #choices: DownlinkMedia[] = [];
  /** The header extensions that were agreed, under the peer's ids. */
  #extensions: Extension[] = [];

  constructor(mid: string, kind: 'audio' | 'video', parts: DownlinkLineParts) {
    this.mid = mid;
    this.kind = kind;
    this.#parts = parts;
  }

  /** What the line should carry; null while free. */
  get wanted(): DownlinkMedia | null {
    return this.#wanted;
  }

  /** The peer stopped the m-line: it can never be used again. */
  get isDead(): boolean {
    return this.#dead;
  }

  /** Whether the next offer may put a track on it. */
  get isFree(): boolean {
    return !this.#dead && !this.#spec && !this.#wanted && !this.#agreed;
  }

  /** The SSRCs that it may send with. */
  get ssrcs(): number[] {
    return this.#sources.flatMap(({ ssrc, rtx }) => [ssrc, rtx.ssrc]);
  }

  /**
   * Makes an m-line of the peer's own one that we send on, under every codec that both know.
   * @returns false when there is no such codec
   */
  bring(media: SdpMedia): boolean {
    const { mid, kind } = this;
    const { ssrc, rtx } = this.#sources[0];
    this.#takesRtx = true;
    this.#choices = readCodecs(media).map((codec) => ({
      ...{ kind, codec, payloadType: codec.payloadType, insidePayloadType: payloadTypeInside(codec), ssrc },
      rtx: codec.rtxPayloadType === undefined ? null : { payloadType: codec.rtxPayloadType, ssrc: rtx.ssrc },
      ...{ cname: PLAYED_STREAM, streamId: PLAYED_STREAM, trackId: mid },
    }));
    const [first] = this.#choices;
    if (!first) return false;
    this.#last = first;
    this.#extensions = acceptedExtensions(media, choiceSection(this.#choices));
    return true;
  }

  /** Puts a track on an m-line of the peer's own; null when that is taken or has no codec for it. */
  place(spec: DownlinkSpec): DownlinkPlace | null {
    if (this.#dead || this.#spec) return null;
    if (!this.#choices.some(({ codec }) => codec.key === spec.codec.key)) return null;
    this.#spec = spec;
    this.#choose(spec.codec);
    return this.#place;
  }

  /** Puts a track on a free m-line of ours; offer afterwards. */
  carry(spec: DownlinkSpec): DownlinkPlace {
    this.#sources.reverse();
    const place = this.#place;
    const { kind, codec, cname, streamId, trackId } = spec;
    const numbered = this.#numbered(codec);
    this.#spec = spec;
    if (numbered) this.#want({ kind, ...numbered, ssrc: place.ssrc, cname, streamId, trackId });
    // The caller does not know its place yet.
    else queueMicrotask(() => this.#spec === spec && spec.onStopped('unsupported-codec'));
    return place;
  }

  /** The publisher of its track sends another codec now; offer afterwards. */
  changeCodec(codec: Codec): void {
    if (!this.#spec) return;
    if (this.#choices.length > 0) {
      this.#choose(codec);
      return;
    }
    if (!this.#wanted) return;
    const numbered = this.#numbered(codec);
    if (numbered) {
      this.#want({ ...this.#wanted, ...numbered });
      return;
    }
    this.#wanted = null;
    this.#spec.onStopped('unsupported-codec');
  }

  /** Takes the track away; see MediaLines.removeDownlink. */
  free(nextSequence: number, nextRtxSequence: number | undefined, end: StreamEnd | null): void {
    this.#spec = this.#wanted = null;
    if (this.#choices.length > 0) this.#agreed = null;
    const [source] = this.#sources;
    source.firstSequence = nextSequence;
    source.after = end ?? source.after;
    source.rtx.firstSequence = nextRtxSequence ?? source.rtx.firstSequence;
  }

  /** In an offer of its own the peer may stop or pause what it receives, or end a pause. */
  followPeer(section: RemoteSection): void {
    if (this.#dead) return;
    if (section.rejected) {
      this.#kill('paused');
      return;
    }
    if (!this.#agreed || this.#wanted !== this.#agreed) return;
    const extensions = acceptedExtensions(section.media, { ext: this.#extensions });
    const hasFewer = extensions.length < this.#extensions.length;
    this.#extensions = extensions;
    if (this.#paused === !section.receives && !hasFewer) return;
    this.#paused = !section.receives;
    if (this.#paused) this.#spec?.onStopped('paused');
    else this.#start(this.#agreed);
  }

  /** The peer's answer, to an offer that said `offered`. */
  conclude(section: RemoteSection, offered: DownlinkMedia | null): void {
    if (section.rejected) {
      // RFC 3264 section 6: an m-line without a common codec is refused.
      this.#kill(refusalOf(offered, this.#wanted));
      return;
    }
    this.#agreed = offered;
    if (!offered || this.#wanted !== offered) return;
    const accepts = (wanted: number | undefined) => section.media.rtp.some(({ payload }) => payload === wanted);
    this.#takesRtx = accepts(offered.rtx?.payloadType);
    this.#takesNack = readCodecs(section.media).some(
      ({ payloadType, feedback }) => payloadType === offered.payloadType && feedback.includes('nack'),
    );
    this.#extensions = acceptedExtensions(section.media, downlinkSection(offered));
    const isDecoded = accepts(offered.payloadType);
    this.#paused = !section.receives || !isDecoded;
    if (this.#paused) this.#spec?.onStopped(isDecoded ? 'paused' : 'unsupported-codec');
    else this.#start(offered);
  }

  /**
   * Our half of the m-line; null refuses it.
   * @param offered the peer's half when this is an answer: only what the peer agreed to before, and never more than it offers
   */
  section(offered?: RemoteSection): LocalSection {
    if (offered && !offered.rejected && this.#choices.length > 0) {
      const ours = { ...choiceSection(this.#choices), ext: this.#extensions };
      const section = withinOffer(ours, offered.media);
      return { ...section, direction: offered.receives ? 'sendonly' : 'inactive' };
    }
    const media = offered ? this.#agreed : this.#wanted;
    if (this.#dead || offered?.rejected || !this.#last) return null;
    if (!media) return { ...idleSection(this.#last), direction: 'inactive' };
    if (!offered) return { ...downlinkSection(media), direction: 'sendonly' };
    const sends = this.#wanted === media && offered.receives;
    const agreed = { ...downlinkSection(media), ext: this.#extensions };
    return { ...withinOffer(agreed, offered.media), direction: sends ? 'sendonly' : 'inactive' };
  }

  get #place(): DownlinkPlace {
    const [{ ssrc, firstSequence, after, rtx }] = this.#sources;
    return { mid: this.mid, ssrc, firstSequence, after, ...(this.kind === 'video' ? { rtx: { ...rtx } } : {}) };
  }

  #start(media: DownlinkMedia): void {
    const spec = this.#spec;
    const track = this.#parts.trackOf(this.mid);
    track?.whenOpen(() => {
      if (this.#spec !== spec || this.#agreed !== media || this.#paused) return;
      const ids = translatedIds(this.#extensions);
      if (!track.extensionIds || Buffer.compare(track.extensionIds, ids) !== 0) track.extensionIds = ids;
      spec?.onReady(track, media.codec, {
        media: media.payloadType,
        inside: media.insidePayloadType,
        rtx: this.#takesRtx ? media.rtx?.payloadType : undefined,
        nack: this.#takesNack,
      });
    });
  }

  /** On an m-line of the peer's own goes what was agreed there for the codec; nothing, when it is none of the choices. */
  #choose(codec: Codec): void {
    const choice = this.#choices.find(({ codec: { key } }) => key === codec.key);
    const media = choice ? { ...choice, codec } : null;
    this.#wanted = this.#agreed = media;
    this.#takesNack = choice?.codec.feedback.includes('nack') ?? false;
    if (!media) this.#spec?.onStopped('unsupported-codec');
    // The m-line may be open already, and the caller does not know its place yet.
    else if (!this.#paused) queueMicrotask(() => this.#start(media));
  }

  #kill(why: StopReason): void {
    const spec = this.#spec;
    this.#dead = true;
    this.#spec = this.#wanted = this.#agreed = null;
    spec?.onStopped(why);
  }

  #want(media: DownlinkMedia): void {
    this.#wanted = this.#last = media;
  }

  /** Null when no payload type is left for it. */
  #numbered(codec: Codec): Pick<DownlinkMedia, 'codec' | 'payloadType' | 'insidePayloadType' | 'rtx'> | null {
    const { payloadTypes } = this.#parts;
    const payloadType = payloadTypes.assign(codec);
    const insidePayloadType = payloadTypes.assignInside(codec);
    if (payloadType === null || insidePayloadType === null) return null;
    const rtxPayloadType = this.kind === 'video' ? payloadTypes.assignRtx(payloadType) : null;
    const rtx = rtxPayloadType === null ? null : { payloadType: rtxPayloadType, ssrc: this.#sources[0].rtx.ssrc };
    return { codec, payloadType, insidePayloadType, rtx };
  }
}

/** Why a refused m-line carries nothing any more. @param wanted what an offer would say now */
function refusalOf(offered: DownlinkMedia | null, wanted: DownlinkMedia | null): StopReason {
  if (!offered) return 'paused';
  return wanted && wanted.codec.key !== offered.codec.key ? 'codec-changed' : 'unsupported-codec';
}

// An answer names only what was offered (RFC 3264 section 6.1, RFC 8285 section 6).
function withinOffer(section: Partial<SdpMedia>, offered: SdpMedia): Partial<SdpMedia> {
  const has = ({ payload }: { payload: number | string }) => offered.rtp.some((other) => other.payload === payload);
  const isOffered = (uri: string, value: number) => offered.ext?.some((ext) => ext.uri === uri && ext.value === value);
  const rtp = (section.rtp ?? []).filter(has);
  return {
    ...section,
    rtp,
    payloads: rtp.map(({ payload }) => payload).join(' '),
    fmtp: (section.fmtp ?? []).filter(has),
    rtcpFb: (section.rtcpFb ?? []).filter(has),
    ext: (section.ext ?? []).filter(({ uri, value }) => isOffered(uri, value)),
  };
}

// A free m-line still needs a codec to be well-formed: the one it carried last.
function idleSection(last: DownlinkMedia): Partial<SdpMedia> {
  const { msid: _msid, ssrcs: _ssrcs, ssrcGroups: _groups, ...section } = downlinkSection(last);
  return section;
}

function newSource(): Source {
  return { ...newStream(), after: null, rtx: newStream() };
}

function newStream(): Stream {
  // Small SSRCs are ours for feedback, zero means none. RFC 3711 section 3.3.1: with a first sequence number in the lower
  // half, no reordering at the start can look like a wrap.
  return { ssrc: randomInt(0x10000, 0x100000000), firstSequence: randomInt(0x8000) };
}
