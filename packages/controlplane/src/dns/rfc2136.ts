import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { type Clock, describeError, OramaError } from '@orama/core';
import { readName, readRecords } from './message-records.ts';
import { nameBytes, recordBytes } from './record-bytes.ts';
import type { ZoneProvider } from './remote-zone.ts';
import { sign, TsigAnswers, TsigError, type TsigKey, UnsignedError } from './tsig.ts';
import { type AddressSet, TAKEN_BY, type ZoneChanges, type ZoneSeen } from './zone-changes.ts';

const TYPE = { A: 1, NS: 2, CNAME: 5, SOA: 6, MX: 15, AAAA: 28, AXFR: 252 } as const;
/** Before the name in the data of an MX record. */
const PREFERENCE_BYTES = 2;
const CLASS_IN = 1;
const CLASS_ANY = 255;
const OPCODE_UPDATE = 5;
/** An update is one message; what is more goes into the next. */
const MAX_UPDATE_BYTES = 60_000;
const MAX_ZONE_BYTES = 16 * 1024 * 1024;
const REFUSALS: Record<number, string> = {
  5: 'refuses the key what it asks',
  9: 'has no such zone, or not for this key',
};

export interface Rfc2136Options {
  server: { address: string; port: number };
  /** Without the trailing dot. */
  zone: string;
  key: TsigKey;
  timeoutMs: number;
  clock: Clock;
}

/** A zone that is read by transfer (RFC 5936) and changed by dynamic update (RFC 2136), both signed, over TCP. */
export class Rfc2136Zone implements ZoneProvider {
  readonly #options: Rfc2136Options;

  constructor(options: Rfc2136Options) {
    this.#options = options;
  }

  async read(): Promise<ZoneSeen> {
    let soas = 0;
    const messages = await this.#exchange(this.#message(0, TYPE.AXFR, []), (message) => {
      soas += readRecords(message).filter(({ section, type }) => section === 'answer' && type === TYPE.SOA).length;
      return soas >= 2;
    });
    const sets = new Map<string, AddressSet & { values: string[] }>();
    const taken = new Map<string, string>();
    for (const message of messages) {
      for (const { section, name, type, ttlSec, data, end } of readRecords(message)) {
        if (section !== 'answer') continue;
        if (type === TYPE.NS) taken.set(name, TAKEN_BY.DELEGATION).set(readName(message, data).name, TAKEN_BY.NS);
        if (type === TYPE.MX) taken.set(readName(message, data + PREFERENCE_BYTES).name, TAKEN_BY.MX);
        if (type === TYPE.CNAME) taken.set(name, TAKEN_BY.CNAME);
        const value = addressOf(type, message.subarray(data, end));
        if (value === null) continue;
        const family = type === TYPE.A ? ('A' as const) : ('AAAA' as const);
        const known = sets.get(`${name} ${family}`);
        if (known) known.values.push(value);
        else sets.set(`${name} ${family}`, { name, type: family, ttlSec, values: [value] });
      }
    }
    return { addresses: [...sets.values()], taken };
  }

  async apply({ replace, remove }: ZoneChanges): Promise<void> {
    const steps = [
      ...remove.map((set) => [deletion(set)]),
      ...replace.map((set) => [deletion(set), ...additions(set)]),
    ];
    let batch: Buffer[] = [];
    let size = 0;
    for (const step of steps) {
      const bytes = step.reduce((sum, { length }) => sum + length, 0);
      if (size + bytes > MAX_UPDATE_BYTES) {
        await this.#update(batch);
        batch = [];
        size = 0;
      }
      batch.push(...step);
      size += bytes;
    }
    if (batch.length > 0) await this.#update(batch);
  }

  async #update(records: Buffer[]): Promise<void> {
    await this.#exchange(this.#message(OPCODE_UPDATE, TYPE.SOA, records), () => true);
  }

  /** A message with one question or zone, and records in the third section, which is that of updates. */
  #message(opcode: number, type: number, updates: Buffer[]): Buffer {
    const header = Buffer.alloc(12);
    header.writeUInt16BE(randomInt(0x10000), 0);
    header.writeUInt16BE(opcode << 11, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(updates.length, 8);
    const tail = Buffer.alloc(4);
    tail.writeUInt16BE(type, 0);
    tail.writeUInt16BE(CLASS_IN, 2);
    return Buffer.concat([header, nameBytes(this.#options.zone), tail, ...updates]);
  }

  /** Sends a message and takes answers until `isLast`; all of them are verified before any is given out. */
  #exchange(message: Buffer, isLast: (message: Buffer) => boolean): Promise<Buffer[]> {
    const { server, key, clock, timeoutMs } = this.#options;
    const { bytes, mac } = sign(message, key, clock.now());
    const answers = new TsigAnswers(key, mac);
    return new Promise((resolve, reject) => {
      const socket = connect(server.port, server.address);
      const messages: Buffer[] = [];
      let pending = Buffer.alloc(0);
      let size = 0;
      const end = (fault?: unknown) => {
        timer.cancel();
        socket.destroy();
        if (fault === undefined) resolve(messages);
        else reject(this.#error(fault));
      };
      const timer = clock.after(timeoutMs, () => end(new Error(`no whole answer within ${timeoutMs} ms`)));
      socket.on('connect', () => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(bytes.length);
        socket.write(Buffer.concat([length, bytes]));
      });
      socket.on('error', end);
      socket.on('close', () => end(new Error('the connection ended before the answer did')));
      socket.on('data', (chunk) => {
        try {
          size += chunk.length;
          if (size > MAX_ZONE_BYTES) throw new Error(`the zone is larger than ${MAX_ZONE_BYTES} bytes`);
          pending = Buffer.concat([pending, chunk]);
          while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
            const answer = pending.subarray(2, 2 + pending.readUInt16BE(0));
            pending = pending.subarray(2 + answer.length);
            const rcode = answer.readUInt16BE(2) & 15;
            try {
              answers.take(answer, clock.now());
            } catch (thrown) {
              throw thrown instanceof UnsignedError && rcode !== 0 ? new RefusedError(rcode) : thrown;
            }
            if (answer.readUInt16BE(0) !== message.readUInt16BE(0)) throw new Error('the answer is to something else');
            if (rcode !== 0) throw new RefusedError(rcode);
            messages.push(answer);
            if (isLast(answer) && answers.isComplete) end();
          }
        } catch (thrown) {
          end(thrown);
        }
      });
    });
  }

  #error(fault: unknown): OramaError {
    const { server, zone, key } = this.#options;
    const where = `the DNS server at ${server.address} port ${server.port}`;
    const [field, what, hint] =
      fault instanceof TsigError
        ? [
            'tsig',
            `${where}: ${fault.message}`,
            `compare dns.tsig with the key ${key.name} of the server, and both clocks`,
          ]
        : fault instanceof RefusedError
          ? ['zone', `${where} ${fault.message}`, `let the key ${key.name} transfer and update the zone ${zone}`]
          : ['server', `${where} cannot be used: ${describeError(fault)}`, 'check that it runs and answers over TCP'];
    return new OramaError('UNAVAILABLE', `dns.${field}: ${what}`, { hint, retryable: true });
  }
}

class RefusedError extends Error {
  constructor(rcode: number) {
    super(REFUSALS[rcode] ?? `answered with rcode ${rcode}`);
  }
}

/** Deletes all records of a name and type (RFC 2136 section 2.5.2). */
function deletion({ name, type }: AddressSet): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(TYPE[type], 0);
  fixed.writeUInt16BE(CLASS_ANY, 2);
  return Buffer.concat([nameBytes(name), fixed]);
}

function additions({ name, type, ttlSec, values }: AddressSet): Buffer[] {
  return values.map((data) => Buffer.concat([nameBytes(name), recordBytes({ name, type, ttl: ttlSec, data })]));
}

function addressOf(type: number, data: Buffer): string | null {
  if (type === TYPE.A && data.length === 4) return data.join('.');
  if (type !== TYPE.AAAA || data.length !== 16) return null;
  return Array.from({ length: 8 }, (_, index) => data.readUInt16BE(2 * index).toString(16)).join(':');
}
