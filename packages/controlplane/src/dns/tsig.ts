import { createHmac, timingSafeEqual } from 'node:crypto';
import { type MessageRecord, readName, readRecords } from './message-records.ts';
import { nameBytes } from './record-bytes.ts';

/** How far the clocks of client and server may be apart (RFC 8945 section 10). */
const FUDGE_SEC = 300;
const TYPE_TSIG = 250;
const CLASS_ANY = 255;
const ALGORITHMS = {
  'hmac-sha256': { hash: 'sha256', bytes: 32 },
  'hmac-sha512': { hash: 'sha512', bytes: 64 },
} as const;

/** A key that a DNS server knows by this name. */
export interface TsigKey {
  name: string;
  algorithm: keyof typeof ALGORITHMS;
  secret: Buffer;
}

/** Why an answer is not believed, in words. */
export class TsigError extends Error {}

/** There is no signature at all: a server refuses so whom it does not know. */
export class UnsignedError extends TsigError {}

/** A TSIG record's fields (RFC 8945 section 4.2). */
interface Tsig {
  key: string;
  algorithm: string;
  timeSec: number;
  fudgeSec: number;
  mac: Buffer;
  originalId: number;
  error: number;
  other: Buffer;
}

/** The message with its signature, and the signature's MAC, which the answer's covers. */
export function sign(message: Buffer, key: TsigKey, nowMs: number): { bytes: Buffer; mac: Buffer } {
  const timeSec = Math.floor(nowMs / 1000);
  const times = timers(timeSec, FUDGE_SEC);
  const none = { error: 0, other: Buffer.alloc(0) };
  const mac = hmac(key, message, ...variables(key, times, none));
  const sizes = Buffer.alloc(2);
  sizes.writeUInt16BE(mac.length);
  const data = Buffer.concat([nameBytes(key.algorithm), times, sizes, mac, message.subarray(0, 2), Buffer.alloc(4)]);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(TYPE_TSIG, 0);
  fixed.writeUInt16BE(CLASS_ANY, 2);
  fixed.writeUInt16BE(data.length, 8);
  const bytes = Buffer.concat([message, nameBytes(key.name.toLowerCase()), fixed, data]);
  bytes.writeUInt16BE(bytes.readUInt16BE(10) + 1, 10);
  return { bytes, mac };
}

function timers(timeSec: number, fudgeSec: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUIntBE(timeSec, 0, 6);
  bytes.writeUInt16BE(fudgeSec, 6);
  return bytes;
}

function hmac(key: TsigKey, ...parts: readonly Buffer[]): Buffer {
  const digest = createHmac(ALGORITHMS[key.algorithm].hash, key.secret);
  for (const part of parts) digest.update(part);
  return digest.digest();
}

/**
 * Checks the answers to one signed request: each covers the MAC before it; those after the first are signed by their timers
 * only, and may be unsigned for at most 99 messages (RFC 8945 section 5.3).
 */
export class TsigAnswers {
  readonly #key: TsigKey;
  #mac: Buffer;
  #isFirst = true;
  #unsigned: Buffer[] = [];

  /** @param mac of the request */
  constructor(key: TsigKey, mac: Buffer) {
    this.#key = key;
    this.#mac = mac;
  }

  /** Whether everything that was taken is covered by a signature. */
  get isComplete(): boolean {
    return !this.#isFirst && this.#unsigned.length === 0;
  }

  /** Takes the next message. @throws TsigError when it is not the server's, or too old */
  take(message: Buffer, nowMs: number): void {
    const last = readRecords(message).at(-1);
    if (last?.type !== TYPE_TSIG) {
      if (this.#isFirst || this.#unsigned.length >= 99) throw new UnsignedError('the answer is not signed');
      this.#unsigned.push(message);
      return;
    }
    const tsig = readTsig(message, last);
    if (tsig.error === 16 || tsig.error === 17) {
      throw new TsigError(tsig.error === 17 ? 'the server does not know the key' : 'the server has another secret');
    }
    if (tsig.key !== keyText(this.#key.name) || tsig.algorithm !== keyText(this.#key.algorithm)) {
      throw new TsigError('the answer is signed with another key');
    }
    const bare = Buffer.from(message.subarray(0, last.start));
    bare.writeUInt16BE(tsig.originalId, 0);
    bare.writeUInt16BE(bare.readUInt16BE(10) - 1, 10);
    const size = Buffer.alloc(2);
    size.writeUInt16BE(this.#mac.length);
    const times = timers(tsig.timeSec, tsig.fudgeSec);
    const tail = this.#isFirst ? variables(this.#key, times, tsig) : [times];
    const mac = hmac(this.#key, size, this.#mac, ...this.#unsigned, bare, ...tail);
    if (mac.length !== tsig.mac.length || !timingSafeEqual(mac, tsig.mac)) {
      throw new TsigError('the signature of the answer is wrong');
    }
    // Only now: before the signature is checked nothing of it is to be believed.
    if (tsig.error === 18 || Math.abs(Math.floor(nowMs / 1000) - tsig.timeSec) > Math.min(tsig.fudgeSec, FUDGE_SEC)) {
      throw new TsigError('the clocks are more than 5 minutes apart');
    }
    this.#mac = tsig.mac;
    this.#isFirst = false;
    this.#unsigned = [];
  }
}

/** What a signature covers beside the message (RFC 8945 section 4.3.3). */
function variables(key: TsigKey, times: Buffer, { error, other }: Pick<Tsig, 'error' | 'other'>): Buffer[] {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(CLASS_ANY, 0);
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(error, 0);
  tail.writeUInt16BE(other.length, 2);
  return [nameBytes(key.name.toLowerCase()), head, nameBytes(key.algorithm), times, tail, other];
}

function readTsig(message: Buffer, { name, data: at, end }: MessageRecord): Tsig {
  if (message.readUInt16BE(at - 8) !== CLASS_ANY || message.readUInt32BE(at - 6) !== 0) {
    throw new TsigError('the signature is malformed');
  }
  const algorithm = readName(message, at);
  const fixed = algorithm.end;
  if (fixed + 16 > end) throw new TsigError('the signature is cut off');
  const macBytes = message.readUInt16BE(fixed + 8);
  const after = fixed + 10 + macBytes;
  if (after + 6 > end || after + 6 + message.readUInt16BE(after + 4) !== end) {
    throw new TsigError('the signature is cut off');
  }
  return {
    key: name,
    algorithm: algorithm.name,
    timeSec: message.readUIntBE(fixed, 6),
    fudgeSec: message.readUInt16BE(fixed + 6),
    mac: message.subarray(fixed + 10, after),
    originalId: message.readUInt16BE(after),
    error: message.readUInt16BE(after + 2),
    other: message.subarray(after + 6, end),
  };
}

function keyText(name: string): string {
  return name.toLowerCase();
}
