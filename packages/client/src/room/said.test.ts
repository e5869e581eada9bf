import { VirtualClock } from '@orama/core';
import { afterEach, describe, expect, test } from 'vitest';
import { connect } from './connect.ts';
import { Room } from './room.ts';

const OPTIONS = { url: 'http://127.85.0.1', apiKey: 'an API key of the tests', room: 'r' };
const nested = (depth: number): Record<string, unknown> => (depth === 0 ? {} : { inner: nested(depth - 1) });
const circular: Record<string, unknown> = {};
circular.self = circular;
const invalid = (message: RegExp) =>
  expect.objectContaining({ code: 'invalid_argument', message: expect.stringMatching(message) });

const rooms: Room[] = [];
afterEach(() => {
  for (const room of rooms.splice(0)) room.leave();
});
function create(): Room {
  const room = new Room({ ...OPTIONS, platform: { clock: new VirtualClock() } });
  room.joined.catch(() => {});
  rooms.push(room);
  return room;
}

describe('what the server would refuse is refused before it is sent', () => {
  test.each([
    ['a name of 129 characters', { name: 'n'.repeat(129) }, /^name: /],
    ['metadata over 4 KB', { metadata: { text: 'ü'.repeat(2_050) } }, /metadata is \d+ bytes .* 4096/],
    ['metadata that is no object', { metadata: [] as unknown as Record<string, unknown> }, /^metadata: /],
    ['metadata nested too deep', { metadata: nested(40) }, /^metadata: nest/],
    ['metadata that is no JSON', { metadata: circular }, /metadata cannot be written as JSON/],
  ])('connect() and describeSelf(): %s', async (_what, self, message) => {
    await expect(connect({ ...OPTIONS, ...self })).rejects.toEqual(invalid(message));
    expect(() => create().describeSelf(self)).toThrow(invalid(message));
  });

  test('sendData(): more than 16 KB, what is nested too deep, and what is no JSON', () => {
    const room = create();
    expect(() => room.sendData('x'.repeat(16 * 1024))).toThrow(invalid(/data is 16386 bytes/));
    expect(() => room.sendData(nested(40))).toThrow(invalid(/^data: nest/));
    expect(() => room.sendData(1n)).toThrow(invalid(/data cannot be written as JSON/));
    expect(() => room.sendData('x'.repeat(16 * 1024 - 2), { to: 'p_1' })).not.toThrow();
  });
});
