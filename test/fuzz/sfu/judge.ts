import {
  type ClientFrame,
  clientFrameSchema,
  type ServerFrame,
  SIGNALLING_CLOSE,
  SIGNALLING_DESCRIPTION_MAX_BYTES,
  SIGNALLING_ERRORS,
  SIGNALLING_FRAME_MAX_BYTES,
  serverFrameSchema,
} from '@orama/protocol';
import { Accusations } from '../accusations.ts';
import { splitRtcp } from './mutate-media.ts';
import { faultOfSdp } from './sdp.ts';
import type { Told } from './told.ts';

/** Errors that each frame of somebody who has joined may be answered with, besides `rate_limited`. */
const ERRORS: Readonly<Record<ClientFrame['type'], readonly string[]>> = {
  join: ['invalid_state'],
  offer: ['invalid_offer', 'forbidden', 'too_many_tracks', 'invalid_state'],
  answer: ['invalid_answer'],
  'ice-candidate': ['invalid_candidate'],
  leave: [],
  'track-state': ['unknown_track', 'forbidden'],
  subscribe: ['unknown_track'],
  'track-layers': ['unknown_track'],
  'peer-state': ['frame_too_large'],
  data: ['forbidden', 'frame_too_large', 'unknown_peer'],
  ping: [],
  pong: [],
};
const STATUSES = [200, 400, 401, 403, 404, 409, 412, 413, 422, 429, 503];

/** What came back for one frame. */
export interface Outcome {
  /** Codes of error frames. */
  readonly errors: readonly string[];
  readonly answers: readonly string[];
  /** What the socket was closed with, if it was. */
  readonly closed: number | undefined;
}

/** Judges everything that the SFU sends. */
export class Judge extends Accusations {
  /** Errors and HTTP statuses so far. */
  readonly answers = new Map<string, number>();
  /** Packets that reached somebody. */
  sentRtp = 0;
  sentRtcp = 0;

  /** One frame of the SFU, as text; gives it back when it is one. */
  frame(text: string): ServerFrame | undefined {
    const parsed = serverFrameSchema.safeParse(JSON.parse(text));
    if (!parsed.success) {
      this.accuse(`a frame that does not fit its schema: ${parsed.error.message}\n  ${text.slice(0, 5_000)}`);
      return undefined;
    }
    const { data: frame } = parsed;
    if (frame.type === 'offer' || frame.type === 'answer') {
      const fault = faultOfSdp(frame.sdp);
      if (fault !== undefined) this.accuse(`${frame.type}: ${fault}`);
    }
    if (frame.type !== 'error') return frame;
    this.#count(frame.code);
    if (!(SIGNALLING_ERRORS as readonly string[]).includes(frame.code) || frame.code === 'internal')
      this.accuse(`an error that is not documented, ${frame.code}: ${frame.message}`);
    return frame;
  }

  /** What a joined client sent and what it got for that. */
  outcome(sent: string | Buffer, outcome: Outcome): void {
    const fault = faultOf(sent, outcome);
    if (fault === undefined) return;
    this.accuse(`${fault} (errors: ${outcome.errors.join(' ')}; closed: ${outcome.closed})`);
  }

  /** One answer of the internal HTTP API. */
  http(status: number, text: string): void {
    this.#count(`HTTP ${status}`);
    if (!STATUSES.includes(status)) this.accuse(`HTTP ${status}: ${text}`);
    if (status >= 400 && typeof (JSON.parse(text) as { error?: { code?: unknown } }).error?.code !== 'string')
      this.accuse(`HTTP ${status} without a code: ${text}`);
  }

  /** A packet to somebody. @param told of a client with signalling */
  packet(packet: Buffer, told: Told | undefined): void {
    const type = packet[1] ?? 0;
    if (type >= 192 && type <= 223) {
      this.sentRtcp++;
      const parts = splitRtcp(packet);
      const bytes = parts.reduce((sum, part) => sum + 4 * (1 + part.readUInt16BE(2)), 0);
      if (bytes !== packet.length || parts.some((part) => (part[0] as number) >> 6 !== 2))
        this.accuse(`RTCP that makes no sense: ${packet.toString('hex')}`);
      return;
    }
    this.sentRtp++;
    if (packet.length < 12 || (packet[0] as number) >> 6 !== 2) this.accuse(`no RTP: ${packet.toString('hex')}`);
    else told?.note(packet);
  }

  #count(what: string): void {
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
  }
}

function faultOf(sent: string | Buffer, { errors, answers, closed }: Outcome): string | undefined {
  const told = errors.join(' ');
  // Too much was sent before: that is all there is to say.
  if (errors.includes('rate_limited')) return closed === SIGNALLING_CLOSE.rateLimited ? undefined : 'not closed';
  const bytes = Buffer.byteLength(sent);
  if (bytes > SIGNALLING_DESCRIPTION_MAX_BYTES)
    return closed === SIGNALLING_CLOSE.tooBig ? undefined : 'a frame beyond every limit was taken';
  const frame = typeof sent === 'string' ? readFrame(sent) : undefined;
  if (frame === undefined) return told === 'invalid_message' ? undefined : 'no frame, and not told so';
  const { type } = frame;
  if (type !== 'offer' && type !== 'answer' && bytes > SIGNALLING_FRAME_MAX_BYTES) {
    const isTold = told === 'frame_too_large' && closed === SIGNALLING_CLOSE.tooBig;
    return isTold ? undefined : 'a frame that is too large was taken';
  }
  const odd = errors.find((code) => !ERRORS[type].includes(code));
  if (odd !== undefined) return `${type} is answered with ${odd}`;
  if (type === 'join' && told !== 'invalid_state') return 'joined twice';
  if (closed !== (type === 'leave' ? SIGNALLING_CLOSE.normal : undefined))
    return `${type} closed the socket, or did not`;
  if (type !== 'offer') return undefined;
  const [answer] = answers;
  if ((answer === undefined) !== errors.includes('invalid_offer')) return `an offer got ${answers.length} answers`;
  const isWhole = answer === undefined || linesIn(answer) === linesIn(frame.sdp);
  return isWhole ? undefined : 'the answer has other m-lines than the offer';
}

function readFrame(text: string): ClientFrame | undefined {
  try {
    return clientFrameSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function linesIn(sdp: string): number {
  return sdp.split(/\r\n|\r|\n/).filter((line) => /^m=./.test(line)).length;
}
