/** DER (ITU-T X.690), as much of it as writing a certificate takes. Every function answers with a whole element. */

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;

/** Context-specific tags: `[n]` around other elements, and `[n]` in place of a primitive type's own tag. */
export const explicitTag = (n: number) => 0xa0 | n;
export const implicitTag = (n: number) => 0x80 | n;

/** An element of any tag around bytes or other elements. */
export function element(tag: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const length: number[] = [];
  for (let rest = body.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
  const header = body.length < 0x80 ? [tag, body.length] : [tag, 0x80 | length.length, ...length];
  return Buffer.concat([Buffer.from(header), body]);
}

export const sequence = (...elements: Uint8Array[]) => element(SEQUENCE, ...elements);
export const set = (...elements: Uint8Array[]) => element(SET, ...elements);
export const octetString = (bytes: Uint8Array) => element(OCTET_STRING, bytes);
export const utf8String = (text: string) => element(UTF8_STRING, Buffer.from(text));

/** A number of big-endian bytes; the first bit is a sign, so bytes that begin with a set one need a zero in front. */
export const integer = (bytes: Uint8Array) => element(INTEGER, bytes);

/** @param unusedBits bits at the end that do not count */
export const bitString = (bytes: Uint8Array, unusedBits = 0) => element(BIT_STRING, Buffer.from([unusedBits]), bytes);

/** @param dotted the identifier's numbers, such as `2.5.4.3` */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...others].flatMap((part) => {
    const groups = [part & 0x7f];
    for (let rest = part >>> 7; rest > 0; rest >>>= 7) groups.unshift(0x80 | (rest & 0x7f));
    return groups;
  });
  return element(OBJECT_IDENTIFIER, Buffer.from(bytes));
}

/** A point in time, to the second. */
export function generalizedTime(unixMs: number): Buffer {
  const text = new Date(unixMs).toISOString().replace(/[-:T]|\.\d+/g, '');
  return element(GENERALIZED_TIME, Buffer.from(text));
}
