import type { ServerFrame } from '@orama/protocol';
import { type Codec, readCodecs } from '../rtc/codecs.ts';
import { RtcConnection } from '../rtc/connection.ts';
import type { NativeTrack } from '../rtc/native-track.ts';
import { readDescription } from '../rtc/sdp.ts';

export interface ReceiverEvents {
  answer: (sdp: string) => void;
  candidate: (candidate: string, mid: string) => void;
  /** An RTP or RTCP packet came. @param codec by RTP payload type; null for RTCP and what was not offered */
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
  /** By mid, then by payload type. */
  readonly #codecs = new Map<string, Map<number, Codec>>();

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
      this.#codecs.set(mid, new Map(readCodecs(media).map((codec) => [codec.payloadType, codec])));
    this.#connection.setRemote('offer', this.#way.redirected(frame.sdp));
    this.#events.answer(withoutExtras(this.#connection.createLocal('answer')));
    if (this.#relayTold) return;
    this.#relayTold = true;
    this.#events.candidate(this.#way.candidate, /^a=mid:(\S+)/m.exec(frame.sdp)?.[1] ?? '');
  }

  async close(): Promise<void> {
    this.#connection.close();
    await this.#way.close();
  }

  #listen(track: NativeTrack): void {
    track.onPacket = (packet) => {
      const codec = this.#codecs.get(track.mid)?.get((packet[1] as number) & 127) ?? null;
      this.#events.packet(track, packet, codec);
    };
  }
}

/**
 * The answer without the connection's own candidates, which nobody should reach, and without what this receiver does not do: retransmissions on an SSRC of their own, and transport-wide feedback,
 * in whose place it tells by REMB what it wants.
 */
function withoutExtras(answer: string): string {
  const rtx = new Set([...answer.matchAll(/^a=rtpmap:(\d+) rtx\//gim)].map(([, payloadType]) => payloadType));
  const lines = answer.split('\r\n').flatMap((line) => {
    if (line.startsWith('a=candidate:') || line === 'a=end-of-candidates') return [];
    const about = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line)?.[1];
    if (about !== undefined && rtx.has(about)) return [];
    if (/transport-cc|transport-wide-cc/.test(line)) return [];
    if (!line.startsWith('m=')) return [line];
    return [
      line
        .split(' ')
        .filter((word, i) => i < 3 || !rtx.has(word))
        .join(' '),
    ];
  });
  return lines.join('\r\n');
}
