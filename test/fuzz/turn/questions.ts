import { MAGIC_COOKIE, STUN_HEADER_BYTES, type StunMessage } from '@orama/turn/stun';

/** An answer to somebody unknown may be so many times as large as the question. */
const AMPLIFICATION_MAX = 3;
/** Datagrams remembered, and bytes of a stream. */
const REMEMBERED_DATAGRAMS = 256;
const REMEMBERED_BYTES = 256 * 1024;

/** What a client has sent, and so what it may be answered. */
export interface Questions {
  asking(bytes: Buffer): void;
  /** What is wrong with an answer, if anything. */
  fault(answer: StunMessage): string | undefined;
}

interface Asked {
  readonly method: number;
  /** Bytes of the datagram with this transaction id that an answer may be for: the latest, or the largest. */
  readonly bytes: number;
  times: number;
  answers: number;
}

/** Datagrams: an answer has the transaction id and method of one, comes once, and is small when its sender is unknown. */
export class DatagramQuestions implements Questions {
  readonly #asked = new Map<string, Asked>();
  readonly #atOnce: boolean;

  /** @param atOnce whether somebody unknown is answered before anything else is sent */
  constructor(atOnce = true) {
    this.#atOnce = atOnce;
  }

  asking(packet: Buffer): void {
    if (packet.length < STUN_HEADER_BYTES) return;
    const id = packet.toString('latin1', 8, STUN_HEADER_BYTES);
    const known = this.#asked.get(id);
    const type = packet.readUInt16BE(0);
    const method = (type & 0x00f) | ((type & 0x0e0) >> 1) | ((type & 0x3e00) >> 2);
    // Set anew, so that the oldest are the first.
    this.#asked.delete(id);
    const bytes = this.#atOnce ? packet.length : Math.max(packet.length, known?.bytes ?? 0);
    this.#asked.set(id, { method, bytes, times: (known?.times ?? 0) + 1, answers: known?.answers ?? 0 });
    if (this.#asked.size > REMEMBERED_DATAGRAMS) this.#asked.delete(this.#asked.keys().next().value as string);
  }

  fault(answer: StunMessage): string | undefined {
    const asked = this.#asked.get(answer.transactionId.toString('latin1'));
    if (asked === undefined) return 'an answer to a request that was not sent';
    asked.answers++;
    if (asked.answers > asked.times) return 'more answers than requests';
    // A transaction id that was used for several methods may be answered with the first one's answer.
    if (asked.times === 1 && asked.method !== answer.method) return `method ${answer.method} answers ${asked.method}`;
    const { length } = answer.buffer;
    if (answer.integrity !== undefined || length <= asked.bytes * AMPLIFICATION_MAX) return undefined;
    return `${length} bytes answer ${asked.bytes} bytes of somebody unknown`;
  }
}

/** A stream: cookie and transaction id of an answer were somewhere in what was sent last. */
export class StreamQuestions implements Questions {
  #sent = '';

  asking(bytes: Buffer): void {
    this.#sent = (this.#sent + bytes.toString('latin1')).slice(-REMEMBERED_BYTES);
  }

  fault(answer: StunMessage): string | undefined {
    const asked = COOKIE + answer.transactionId.toString('latin1');
    return this.#sent.includes(asked) ? undefined : 'an answer on a stream to a request that was not sent';
  }
}

const COOKIE = (() => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(MAGIC_COOKIE);
  return bytes.toString('latin1');
})();
