import type { Received } from '../wire/stun.ts';

/** Throws with `message` unless it holds. */
export function expect(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(message);
}

/** Throws unless the response has this code; 200 is success. */
export function expectCode(response: Received, ...codes: number[]): void {
  expect(codes.includes(response.code), `answered with ${response.code} instead of ${codes.join(' or ')}`);
}

/** Throws unless the same bytes arrived. */
export function expectData(received: Uint8Array, sent: Uint8Array): void {
  expect(Buffer.compare(received, sent) === 0, `${received.length} other bytes arrived than the ${sent.length} sent`);
}
