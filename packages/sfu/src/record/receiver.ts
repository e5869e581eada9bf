import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { OramaError } from '@orama/core';
import type { ServerFrame, TurnCredentials } from '@orama/protocol';
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

/** The media of a peer that only receives, through TURN as every client's. */
export class Receiver {
  readonly #connection: RtcConnection;
  readonly #events: ReceiverEvents;
  /** By mid, then by payload type. */
  readonly #codecs = new Map<string, Map<number, Codec>>();

  private constructor(address: string, server: TurnServer, events: ReceiverEvents) {
    this.#events = events;
    this.#connection = new RtcConnection(
      { name: 'recorder', address, iceServers: [{ ...server, relayType: 'TurnUdp' }], relayOnly: true },
      {
        onState: (state) => {
          if (state === 'failed' || state === 'disconnected') events.ended(new Error('the media connection is gone'));
        },
        onTrack: (track) => this.#listen(track),
        onCandidate: (candidate, mid) => events.candidate(candidate, mid),
        onFault: events.ended,
      },
    );
  }

  /** @throws OramaError when no TURN server of the credentials can be used */
  static async open(credentials: TurnCredentials, events: ReceiverEvents): Promise<Receiver> {
    const server = turnServerOf(credentials);
    return new Receiver(await localAddressTowards(server), server, events);
  }

  /** Takes what the SFU says about the connection. */
  handle(frame: Extract<ServerFrame, { type: 'offer' | 'ice-candidate' }>): void {
    if (frame.type === 'ice-candidate') {
      if (frame.candidate !== '') this.#connection.addCandidate(frame.candidate, frame.sdpMid ?? '');
      return;
    }
    for (const { mid, media } of readDescription(frame.sdp).sections)
      this.#codecs.set(mid, new Map(readCodecs(media).map((codec) => [codec.payloadType, codec])));
    this.#connection.setRemote('offer', frame.sdp);
    this.#events.answer(withoutExtras(this.#connection.createLocal('answer')));
  }

  close(): void {
    this.#connection.close();
  }

  #listen(track: NativeTrack): void {
    track.onPacket = (packet) => {
      const codec = this.#codecs.get(track.mid)?.get((packet[1] as number) & 127) ?? null;
      this.#events.packet(track, packet, codec);
    };
  }
}

interface TurnServer {
  hostname: string;
  port: number;
  username: string;
  password: string;
}

// The media engine's own TURN client speaks UDP only.
function turnServerOf({ uris, username, password }: TurnCredentials): TurnServer {
  for (const uri of uris) {
    const match = /^turn:\[?([^\]?]+?)\]?:(\d+)\?transport=udp$/.exec(uri);
    if (match) return { hostname: match[1] as string, port: Number(match[2]), username, password };
  }
  throw new OramaError('UNAVAILABLE', 'the namespace has no TURN server over UDP', {
    hint: 'see "orama turn status"; a recording is received over UDP',
  });
}

/** Our address on the way to a server; nothing is sent. */
async function localAddressTowards({ hostname, port }: TurnServer): Promise<string> {
  const socket = createSocket(hostname.includes(':') ? 'udp6' : 'udp4');
  try {
    socket.connect(port, hostname);
    await once(socket, 'connect');
    return socket.address().address;
  } catch (cause) {
    throw new OramaError('UNAVAILABLE', `the TURN server ${hostname} is not reached`, { cause, retryable: true });
  } finally {
    socket.close();
  }
}

/**
 * The answer without what this receiver does not do: retransmissions on an SSRC of their own, and transport-wide feedback,
 * in whose place it tells by REMB what it wants.
 */
function withoutExtras(answer: string): string {
  const rtx = new Set([...answer.matchAll(/^a=rtpmap:(\d+) rtx\//gim)].map(([, payloadType]) => payloadType));
  const lines = answer.split('\r\n').flatMap((line) => {
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
