import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JOIN_FRAME_MAX_BYTES, readJoinFrame } from './join-frame.ts';

const text = (value: unknown) => ({ data: Buffer.from(JSON.stringify(value)), isBinary: false });

describe('readJoinFrame', () => {
  it('finds the room in the flat and in the enveloped dialect', () => {
    expect(readJoinFrame(text({ type: 'join', room: 'r1', name: 'Ada' }))).toEqual({ ok: true, room: 'r1' });
    expect(readJoinFrame(text({ type: 'join', data: { roomId: 'r1', userId: 'u' } }))).toEqual({
      ok: true,
      room: 'r1',
    });
  });

  it('takes metadata of the size that the protocol allows', () => {
    const frame = text({ type: 'join', room: 'r'.repeat(128), metadata: { text: 'x'.repeat(4080) } });
    expect(readJoinFrame(frame)).toMatchObject({ ok: true });
  });

  it.each([
    ['another type', text({ type: 'offer', sdp: '' }), 'invalid_message'],
    ['an array', text([]), 'invalid_message'],
    ['null', text(null), 'invalid_message'],
    ['text that is not JSON', { data: Buffer.from('join'), isBinary: false }, 'invalid_message'],
    ['a binary frame', { ...text({ type: 'join', room: 'r1' }), isBinary: true }, 'invalid_message'],
    ['no room', text({ type: 'join' }), 'invalid_join'],
    ['a room with a space', text({ type: 'join', room: 'a b' }), 'invalid_join'],
    ['a room that is no text', text({ type: 'join', room: 7 }), 'invalid_join'],
    ['too many bytes', { data: Buffer.alloc(JOIN_FRAME_MAX_BYTES + 1, 32), isBinary: false }, 'frame_too_large'],
  ])('refuses %s', (_what, message, code) => {
    expect(readJoinFrame(message)).toMatchObject({ ok: false, code });
  });

  it('returns for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.boolean(), (bytes, isBinary) => {
        expect(readJoinFrame({ data: Buffer.from(bytes), isBinary })).toHaveProperty('ok');
      }),
    );
  });
});
