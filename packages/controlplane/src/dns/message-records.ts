const HEADER_BYTES = 12;
const MAX_NAME_BYTES = 255;

/** A record of a message, where it lies. */
export interface MessageRecord {
  section: 'answer' | 'authority' | 'additional';
  /** In lower case, labels with dots between them, without the last one. */
  name: string;
  type: number;
  ttlSec: number;
  /** First byte of the record, of its data, and the first after it. */
  start: number;
  data: number;
  end: number;
}

/** The records of a message. @throws RangeError when it is malformed */
export function readRecords(message: Buffer): MessageRecord[] {
  if (message.length < HEADER_BYTES) throw new RangeError('the message is cut off');
  let at = HEADER_BYTES;
  for (let left = message.readUInt16BE(4); left > 0; left -= 1) at = readName(message, at).end + 4;
  const records: MessageRecord[] = [];
  for (const [index, section] of (['answer', 'authority', 'additional'] as const).entries()) {
    for (let left = message.readUInt16BE(6 + 2 * index); left > 0; left -= 1) {
      const { name, end: fixed } = readName(message, at);
      const data = fixed + 10;
      const end = data + message.readUInt16BE(fixed + 8);
      if (end > message.length) throw new RangeError('a record is cut off');
      const ttlSec = message.readUInt32BE(fixed + 4);
      records.push({ section, name, type: message.readUInt16BE(fixed), ttlSec, start: at, data, end });
      at = end;
    }
  }
  return records;
}

/** A name, with pointers that lead backwards only (RFC 1035 section 4.1.4). @throws RangeError when it is malformed */
export function readName(message: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let end = 0;
  let limit = start;
  let size = 0;
  for (let at = start; ; ) {
    const length = message.readUInt8(at);
    if (length >= 0xc0) {
      const target = message.readUInt16BE(at) & 0x3fff;
      if (target >= limit) throw new RangeError('a name points forwards');
      end ||= at + 2;
      limit = target;
      at = target;
      continue;
    }
    if (length === 0) return { name: labels.join('.'), end: end || at + 1 };
    size += 1 + length;
    if (length > 63 || size >= MAX_NAME_BYTES || at + 1 + length > message.length)
      throw new RangeError('a name is malformed');
    labels.push(message.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
}
