import type { ServerFrame } from '@orama/protocol';
import { type Codec, readCodecs } from '../rtc/codecs.ts';
import { RtcConnection } from '../rtc/connection.ts';
import type { NativeTrack } from '../rtc/native-track.ts';
import { readDescription } from '../rtc/sdp.ts';
import { isRtcp, readUint32 } from '../rtp/header.ts';

export interface ReceiverEvents {
  answer: (sdp: string) => void;
  candidate: (candidate: string, mid: string) => void;
  /** An RTP or RTCP packet came. @param codec by RTP payload type; null for RTCP and what is not of the track that was offered last */
  packet: (track: NativeTrack, packet: Buffer, codec: Codec | null) => void;
  /** The connection is of no more use. */
  ended: (thrown: unknown) => void;
}

/**
 * A way through TURN to the SFU. libdatachannel's own TURN client would go around the relay wherever the SFU can be
 * reached without it, as on a node, and the SFU takes nobody who does.
 */
export interface MediaWay {
  /** Where the connection sends to instead of to the SFU; a loopback address. */
  readonly local: { readonly address: string; readonly port: number };
  /** The relay as a candidate line. */
  readonly candidate: string;
  /** Says from which local port the connection sends. */
  expectPeer(port: number): void;
  /** A description, or one candidate, with the SFU's candidates replaced by the way. */
  redirected(sdp: string): string;
  redirect(candidate: string): string;
  close(): Promise<void>;
}

/** The media of a peer that only receives, through TURN as every client's. */
export class Receiver {
  readonly #connection: RtcConnection;
  readonly #events: ReceiverEvents;
  readonly #way: MediaWay;
  #relayTold = false;
  /** By mid, what the last offer says is sent there. */
  readonly #lines = new Map<string, OfferedLine>();

  constructor(way: MediaWay, events: ReceiverEvents) {
    this.#way = way;
    this.#events = events;
    this.#connection = new RtcConnection(
      { name: 'recorder', address: way.local.address },
      {
        onState: (state) => {
          if (state === 'failed' || state === 'disconnected') events.ended(new Error('the media connection is gone'));
        },
        onTrack: (track) => this.#listen(track),
        onCandidate: (candidate) => way.expectPeer(Number(candidate.split(' ')[5])),
        onFault: events.ended,
      },
    );
  }

  /** Takes what the SFU says about the connection. */
  handle(frame: Extract<ServerFrame, { type: 'offer' | 'ice-candidate' }>): void {
    if (frame.type === 'ice-candidate') {
      if (frame.candidate !== '')
        this.#connection.addCandidate(this.#way.redirect(frame.candidate), frame.sdpMid ?? '');
      return;
    }
    for (const { mid, media } of readDescription(frame.sdp).sections)
      this.#lines.set(mid, {
        ssrc: media.ssrcs?.[0]?.id,
        codecs: new Map(readCodecs(media).map((codec) => [codec.payloadType, codec])),
      });
    this.#connection.setRemote('offer', this.#way.redirected(frame.sdp));
    this.#events.answer(answerTo(frame.sdp, this.#connection.createLocal('answer')));
    if (this.#relayTold) return;
    this.#relayTold = true;
    this.#events.candidate(this.#way.candidate, /^a=mid:(\S+)/m.exec(frame.sdp)?.[1] ?? '');
  }

  /** The track on an m-line ended: until the next offer, what comes there is late and belongs to none. */
  forget(mid: string): void {
    this.#lines.delete(mid);
  }

  async close(): Promise<void> {
    this.#connection.close();
    await this.#way.close();
  }

  #listen(track: NativeTrack): void {
    track.onPacket = (packet) => {
      this.#events.packet(track, packet, codecOf(packet, this.#lines.get(track.mid)));
    };
  }
}

interface OfferedLine {
  ssrc: number | undefined;
  /** By payload type. */
  codecs: ReadonlyMap<number, Codec>;
}

function codecOf(packet: Buffer, line: OfferedLine | undefined): Codec | null {
  if (!line || packet.length < 12 || isRtcp(packet) || readUint32(packet, 8) !== line.ssrc) return null;
  return line.codecs.get((packet[1] as number) & 127) ?? null;
}

/**
 * The answer for the SFU: it takes every codec that is offered, also where another came before, which libdatachannel goes on
 * naming. Left out are the connection's own candidates, which nobody should reach, and what this receiver does not do:
 * retransmissions on an SSRC of their own, and transport-wide feedback, in whose place it tells by REMB what it wants.
 */
function answerTo(offer: string, answer: string): string {
  const [, ...offered] = sectionsOf(offer);
  const [session = '', ...answered] = sectionsOf(answer);
  return session + answered.map((section, i) => sectionTo(offered[i] ?? '', section)).join('');
}

const CODEC_LINE = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /;
const LEFT_OUT = /^a=(?:candidate:|end-of-candidates|.*transport-cc|.*transport-wide-cc)/;

function sectionTo(offered: string, answered: string): string {
  const codecs = linesOf(offered).filter((line) => CODEC_LINE.test(line));
  const repeats = codecs.flatMap((line) => /^a=rtpmap:(\d+) rtx\//i.exec(line)?.[1] ?? []);
  const isTaken = (payloadType: string | undefined) => !repeats.includes(payloadType ?? '');
  const [wanted = '', [media = '', ...lines]] = [linesOf(offered)[0], linesOf(answered)];
  const payloadTypes = wanted.split(' ').slice(3).filter(isTaken);
  return [
    [...media.split(' ').slice(0, 3), ...payloadTypes].join(' '),
    ...lines.filter((line) => !CODEC_LINE.test(line)),
    ...codecs.filter((line) => isTaken(CODEC_LINE.exec(line)?.[1])),
  ]
    .filter((line) => !LEFT_OUT.test(line))
    .map((line) => `${line}\r\n`)
    .join('');
}

function sectionsOf(sdp: string): string[] {
  return sdp.split(/^(?=m=)/m);
}

function linesOf(section: string): string[] {
  return section.split('\r\n').filter((line) => line !== '');
}
