import { describe, expect, test } from 'vitest';
import { decodeFrame, encodeFrame } from './codec.ts';
import { judgeClose } from './verdict.ts';

const words = (code: string) => ({ type: 'error' as const, code, text: `because ${code}` });

describe('judgeClose', () => {
  test.each([
    [4001, 'bad_credential', 'none'],
    [4003, 'not_allowed', 'none'],
    [4004, 'no_such_room', 'none'],
    [4008, 'rate_limited', 'resume'],
    [4013, 'moved', 'rejoin'],
    [1001, 'unreachable', 'resume'],
    [1006, 'unreachable', 'resume'],
  ])('close code %i alone means %s and %s', (code, expected, recovery) => {
    expect(judgeClose(code, undefined)).toMatchObject({ error: { code: expected }, recovery });
  });

  test('the words of the server name the reason where the close code is coarse', () => {
    expect(judgeClose(4004, words('room_full'))).toMatchObject({
      error: { code: 'room_full', message: 'because room_full' },
      recovery: 'none',
    });
    expect(judgeClose(4013, words('sfu_unavailable'))).toMatchObject({
      error: { code: 'sfu_unavailable' },
      recovery: 'resume',
    });
  });

  test('whoever was kicked, or whose room was closed, does not come back whatever the close code', () => {
    for (const code of [1000, 1006, 4013]) {
      expect(judgeClose(code, { type: 'kicked', code: 'x', text: 'spam' })).toMatchObject({
        error: { code: 'kicked', message: 'spam' },
        recovery: 'none',
      });
      expect(judgeClose(code, { type: 'room-closed', code: 'x', text: 'over' }).error.code).toBe('room_closed');
    }
  });

  test('a network that breaks after an error for a single request does not end the call', () => {
    expect(judgeClose(1006, words('forbidden'))).toMatchObject({ error: { code: 'not_allowed' }, recovery: 'resume' });
    expect(judgeClose(1006, words('draining')).recovery).toBe('rejoin');
  });

  test('words that no one has heard before are passed on, and the peer is resumed', () => {
    expect(judgeClose(1006, words('something_new'))).toMatchObject({
      error: { code: 'unreachable', message: 'because something_new' },
      recovery: 'resume',
    });
  });
});

describe('the codec', () => {
  test('encodeFrame() puts the type first', () => {
    expect(encodeFrame({ type: 'offer', sdp: 'v=0' })).toBe('{"type":"offer","sdp":"v=0"}');
  });

  test.each([['{'], ['[]'], ['null'], ['{"type":"from-the-future"}'], ['{"type":"offer"}'], [new ArrayBuffer(3)]])(
    'decodeFrame() passes over %j',
    (text) => expect(decodeFrame(text)).toBeUndefined(),
  );

  test('decodeFrame() reads a frame and leaves out members it does not know', () => {
    expect(decodeFrame('{"type":"pong","id":7,"new":1}')).toEqual({ type: 'pong', id: 7 });
  });
});
