import { EXTENSION, findExtension } from '../rtp/extensions.ts';
import { isRtcp, RtpView, readRtp } from '../rtp/header.ts';
import type { RtcpPacket } from '../rtp/rtcp/packets.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import type { SendTrackOptions } from './connection.ts';
import type { NativeTrack } from './native-track.ts';
import { CARRIER_MID } from './sdp.ts';
import type { UplinkMedia } from './sections.ts';
import { RtcTrack } from './track.ts';

/** libdatachannel's only m-line of media. Its codec is a formality: packets pass as they are. */
export const CARRIER: SendTrackOptions = {
  ...{ mid: CARRIER_MID, kind: 'video', ssrcs: [], cname: '', streamId: '', trackId: '', both: true },
  codec: { name: 'VP8', payloadType: 96 },
};

/** SSRCs that one m-line may show without having described them; a browser that replaces a track takes a few new ones. */
const MAX_STRANGERS = 32;
/** And those that are known of it: the longest known give way, so that a peer may name others for as long as it stays. */
const MAX_SSRCS = 256;

interface Uplink {
  track: RtcTrack;
  /** The peer's id of the mid element; 0 without. */
  midId: number;
  /** Those that tell its packets apart where neither a mid nor a described SSRC can. */
  payloadTypes: ReadonlySet<number>;
  ssrcs: Set<number>;
  strangers: number;
}

/**
 * Whose a packet is (RFC 9143 section 9.2). libdatachannel knows one m-line, whatever the peer and we agree on, and hands
 * over everything: with two or more it would drop every packet whose SSRC no description names, and those of a simulcast
 * track have no names there.
 */
export class Bundle {
  readonly #carrier: NativeTrack;
  readonly #tracks = new Map<string, RtcTrack>();
  readonly #uplinks = new Map<string, Uplink>();
  /** By the SSRC of what the peer sends. */
  readonly #sources = new Map<number, RtcTrack>();
  /** By the SSRC of what we send: reports and requests are about it. */
  readonly #sinks = new Map<number, RtcTrack>();
  readonly #onControl: (packets: readonly RtcpPacket[]) => void;
  readonly #view = new RtpView();

  /** @param onControl everything that the peer reports or asks for, once, whatever m-line it is about */
  constructor(carrier: NativeTrack, onControl: (packets: readonly RtcpPacket[]) => void) {
    this.#carrier = carrier;
    this.#onControl = onControl;
    carrier.onPacket = (packet) => this.#receive(packet);
  }

  track(mid: string): RtcTrack | undefined {
    return this.#tracks.get(mid);
  }

  /** Notes what the peer sends on `mid`. @param ssrcs those that its description names */
  listen(mid: string, media: UplinkMedia, ssrcs: readonly number[]): void {
    const before = this.#uplinks.get(mid);
    const track = before?.track ?? this.#open(mid, media.kind);
    const midId = media.extensions.find(({ uri }) => uri === EXTENSION.mid)?.value ?? 0;
    const uplink: Uplink = {
      track,
      midId,
      payloadTypes: new Set(midId > 0 || ssrcs.length > 0 ? [] : payloadTypesOf(media)),
      ssrcs: before?.ssrcs ?? new Set(),
      strangers: before?.strangers ?? 0,
    };
    this.#uplinks.set(mid, uplink);
    for (const ssrc of ssrcs) this.#claim(uplink, ssrc);
  }

  /** The peer sends nothing on `mid` any more. */
  ignore(mid: string): void {
    const uplink = this.#uplinks.get(mid);
    if (!uplink) return;
    for (const ssrc of uplink.ssrcs) this.#disclaim(uplink, ssrc);
    uplink.track.close();
    this.#uplinks.delete(mid);
    this.#tracks.delete(mid);
  }

  /** An m-line of ours, with all SSRCs that it may ever send with. */
  send(mid: string, kind: 'audio' | 'video', ssrcs: readonly number[]): RtcTrack {
    const track = this.#tracks.get(mid) ?? this.#open(mid, kind);
    for (const ssrc of ssrcs) this.#sinks.set(ssrc, track);
    return track;
  }

  /** Nothing is sent on an m-line of ours any more, nor ever again. @param ssrcs those that `send` was told */
  retract(mid: string, ssrcs: readonly number[]): void {
    for (const ssrc of ssrcs) this.#sinks.delete(ssrc);
    this.#tracks.get(mid)?.close();
    this.#tracks.delete(mid);
  }

  close(): void {
    for (const track of this.#tracks.values()) track.close();
  }

  #open(mid: string, kind: 'audio' | 'video'): RtcTrack {
    const track = new RtcTrack(mid, kind, this.#carrier);
    this.#tracks.set(mid, track);
    return track;
  }

  #receive(packet: Buffer): void {
    if (isRtcp(packet)) {
      this.#receiveRtcp(packet);
      return;
    }
    const view = this.#view;
    if (!readRtp(packet, view)) return;
    const track = this.#sources.get(view.ssrc) ?? this.#trackOfStranger(packet, view);
    track?.onPacket?.(packet);
  }

  #trackOfStranger(packet: Buffer, view: RtpView): RtcTrack | undefined {
    const uplink = this.#namedBy(packet, view) ?? this.#onlyOneWith(view.payloadType);
    if (!uplink || uplink.strangers >= MAX_STRANGERS) return undefined;
    uplink.strangers++;
    this.#claim(uplink, view.ssrc);
    return uplink.track;
  }

  #namedBy(packet: Buffer, view: RtpView): Uplink | undefined {
    for (const [mid, uplink] of this.#uplinks)
      if (uplink.midId > 0 && elementIs(packet, view, uplink.midId, mid)) return uplink;
    return undefined;
  }

  #onlyOneWith(payloadType: number): Uplink | undefined {
    let found: Uplink | undefined;
    for (const uplink of this.#uplinks.values()) {
      if (!uplink.payloadTypes.has(payloadType)) continue;
      if (found) return undefined;
      found = uplink;
    }
    return found;
  }

  #claim(uplink: Uplink, ssrc: number): void {
    const [oldest] = uplink.ssrcs;
    if (uplink.ssrcs.size >= MAX_SSRCS && oldest !== undefined) this.#disclaim(uplink, oldest);
    // Named again, it is among the newest.
    uplink.ssrcs.delete(ssrc);
    uplink.ssrcs.add(ssrc);
    this.#sources.set(ssrc, uplink.track);
  }

  #disclaim({ ssrcs, track }: Uplink, ssrc: number): void {
    ssrcs.delete(ssrc);
    if (this.#sources.get(ssrc) === track) this.#sources.delete(ssrc);
  }

  // A compound packet goes once to every track it says something about.
  #receiveRtcp(packet: Buffer): void {
    const parts = parseRtcp(packet);
    this.#onControl(parts);
    const concerned = new Set<RtcTrack | undefined>();
    for (const part of parts) {
      if (part.type === 'sr') concerned.add(this.#sources.get(part.ssrc));
      for (const ssrc of ssrcsOf(part)) concerned.add(this.#sinks.get(ssrc));
    }
    for (const track of concerned) track?.onPacket?.(packet);
  }
}

function payloadTypesOf({ codecs }: UplinkMedia): number[] {
  return codecs.flatMap(({ payloadType, rtxPayloadType = payloadType }) => [payloadType, rtxPayloadType]);
}

/** The SSRCs that an RTCP packet is about, its sender's left out. */
function ssrcsOf(packet: RtcpPacket): number[] {
  switch (packet.type) {
    case 'sr':
    case 'rr':
      return packet.reports.map(({ ssrc }) => ssrc);
    case 'nack':
    case 'pli':
    case 'twcc':
      return [packet.mediaSsrc];
    case 'fir':
      return packet.entries.map(({ ssrc }) => ssrc);
    case 'remb':
      return packet.ssrcs;
    default:
      return [];
  }
}

// The element's length stands in the byte before its data, in both header forms (RFC 8285 sections 4.2 and 4.3).
function elementIs(packet: Buffer, view: RtpView, id: number, text: string): boolean {
  const at = findExtension(packet, view, id);
  if (at < 0) return false;
  const head = packet[at - 1] as number;
  const bytes = view.extensionProfile === 0xbede ? (head & 15) + 1 : head;
  return bytes === text.length && packet.toString('latin1', at, at + bytes) === text;
}
