import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type NativeTrack,
  RtcConnection,
  type RtcConnectionOptions,
  type RtcEvents,
  type SendTrackOptions,
} from '@orama/sfu/rtc';
import { CORPUS_FOLDER, type Session } from '../corpus.ts';

/** The SFU's. */
export const RECORDED_ADDRESS = '127.86.1.1';
/** A packet longer than this says nothing that its beginning does not. */
const CUT_BYTES = 160;
/** Of each stream. */
const RTP_PACKETS = 14;
const RTCP_PACKETS = 32;

/** What a client said over signalling. */
export type Sent = Pick<{ [K in keyof Session]: string[] }, 'offers' | 'answers' | 'candidates'>;

/** Packets of every peer by its id. */
const heard = new Map<string, { rtp: Buffer[]; rtcp: Buffer[] }>();

/** A connection of the SFU that notes what comes before it is handed on. */
export class RecordedConnection extends RtcConnection {
  readonly #name: string;

  constructor(options: RtcConnectionOptions, events: RtcEvents) {
    super(options, events);
    this.#name = options.name;
  }

  override sendTrack(options: SendTrackOptions): NativeTrack {
    const track = super.sendTrack(options);
    // Whoever reads the track says so in this turn.
    queueMicrotask(() => {
      const handOn = track.onPacket;
      track.onPacket = (packet) => {
        record(this.#name, packet);
        handOn?.(packet);
      };
    });
    return track;
  }
}

function record(peerId: string, packet: Buffer): void {
  const { rtp, rtcp } = heard.get(peerId) ?? { rtp: [], rtcp: [] };
  heard.set(peerId, { rtp, rtcp });
  const type = packet[1] as number;
  const isRtcp = type >= 192 && type <= 223;
  const same = isRtcp
    ? rtcp.filter((other) => other[1] === type && other.length === packet.length)
    : rtp.filter((other) => other.readUInt32BE(8) === packet.readUInt32BE(8));
  if (same.length >= (isRtcp ? 2 : RTP_PACKETS) || rtcp.length > RTCP_PACKETS) return;
  (isRtcp ? rtcp : rtp).push(Buffer.from(packet.subarray(0, CUT_BYTES)));
}

/** Without what tells the machine that it was recorded on. */
export function sessionOf(peerId: string, { offers, answers, candidates }: Sent): Session {
  const { rtp = [], rtcp = [] } = heard.get(peerId) ?? {};
  const texts = (list: string[]) =>
    list.map((text) => text.replace(/\b(?!0\.0\.0\.0|127\.)\d+\.\d+\.\d+\.\d+\b/g, '192.0.2.7'));
  const hex = (list: Buffer[]) => list.map((packet) => packet.toString('hex'));
  return {
    offers: texts(offers),
    answers: texts(answers.slice(-2)),
    candidates: texts(candidates),
    rtp: hex(rtp),
    rtcp: hex(rtcp),
  };
}

/** Writes a session of the corpus. @throws Error when it is none */
export function save(name: string, session: Session): void {
  const { rtp, rtcp, offers, answers } = session;
  if (offers.length + answers.length === 0) throw new Error(`${name} sent no description`);
  writeFileSync(join(CORPUS_FOLDER, `${name}.json`), `${JSON.stringify(session, null, 2)}\n`);
  console.log(`${name}: ${offers.length} offers, ${answers.length} answers, ${rtp.length} RTP, ${rtcp.length} RTCP`);
}
