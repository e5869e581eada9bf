import { beforeEach, describe, expect, test } from 'vitest';
import { Judge } from './judge.ts';
import { Told } from './told.ts';

let judge: Judge;
beforeEach(() => {
  judge = new Judge();
});
const OFFER = JSON.stringify({ type: 'offer', sdp: 'v=0\r\nm=audio 9 X 0\r\n' });
const answered = (errors: string[], answers: string[] = [], closed?: number) => ({ errors, answers, closed });

describe('what a frame may be answered with', () => {
  test.each([
    ['no JSON', answered(['invalid_message'])],
    ['{"type":"nonsense"}', answered(['invalid_message'])],
    ['{"type":"ping"}', answered([])],
    ['{"type":"join"}', answered(['invalid_state'])],
    ['{"type":"leave"}', answered([], [], 1000)],
    ['{"type":"pong"}', answered(['rate_limited'], [], 4008)],
    [OFFER, answered(['invalid_offer'])],
    [OFFER, answered([], ['v=0\r\nm=audio 0 X 0\r\n'])],
    [OFFER, answered(['too_many_tracks'], ['v=0\r\nm=audio 0 X 0\r\n'])],
    [JSON.stringify({ type: 'data', data: 'd'.repeat(70_000) }), answered(['frame_too_large'], [], 1009)],
    [`{"type":"offer","sdp":"${'x'.repeat(263_000)}"}`, answered([], [], 1009)],
  ])('%.40s is answered soundly', (sent, outcome) => {
    judge.outcome(sent, outcome);
    expect(judge.takeWrong()).toBeUndefined();
  });

  test.each([
    ['no JSON', answered([])],
    ['{"type":"nonsense"}', answered(['unknown_track'])],
    ['{"type":"join"}', answered([])],
    ['{"type":"ping"}', answered([], [], 1002)],
    ['{"type":"leave"}', answered([])],
    ['{"type":"pong"}', answered(['rate_limited'])],
    [OFFER, answered([])],
    [OFFER, answered(['invalid_offer'], ['v=0\r\nm=audio 0 X 0\r\n'])],
    [OFFER, answered([], ['v=0\r\nm=audio 0 X 0\r\nm=video 0 X 0\r\n'])],
    [JSON.stringify({ type: 'data', data: 'd'.repeat(70_000) }), answered([])],
    [`{"type":"offer","sdp":"${'x'.repeat(263_000)}"}`, answered(['invalid_offer'])],
  ])('%.40s is not', (sent, outcome) => {
    judge.outcome(sent, outcome);
    expect(judge.takeWrong()).toBeDefined();
  });
});

test('frames of the server have their schema, descriptions have whole lines, and errors are documented ones', () => {
  const frames: object[] = [
    { type: 'welcome' },
    { type: 'error', code: 'internal', message: '' },
    { type: 'error', code: 'made_up', message: '' },
    { type: 'answer', sdp: 'v=0\r\nm=audio 9 X 0\r\na=mid:0\r\nm=audio 9 X 0\r\na=mid:0\r\n' },
    { type: 'answer', sdp: 'v=0\r\na=fmtp:1 x\ny\r\n' },
  ];
  for (const frame of frames) {
    judge.frame(JSON.stringify(frame));
    expect(judge.takeWrong(), JSON.stringify(frame)).toBeDefined();
  }
  judge.frame(JSON.stringify({ type: 'error', code: 'unknown_track', message: '' }));
  expect(judge.takeWrong()).toBeUndefined();
});

test('HTTP has a status that is documented, and a code where it is an error', () => {
  judge.http(404, '{"error":{"code":"ROOM_NOT_FOUND"}}');
  expect(judge.takeWrong()).toBeUndefined();
  judge.http(404, '{}');
  expect(judge.takeWrong()).toBeDefined();
  judge.http(500, '{"error":{"code":"INTERNAL"}}');
  expect(judge.takeWrong()).toBeDefined();
});

test('packets are whole, and of streams that their receiver is told of sooner or later', () => {
  const told = new Told();
  const rtp = Buffer.from('80600001000000000000000700', 'hex');
  judge.packet(rtp, told);
  expect(told.stranger).toEqual(rtp);
  told.announce([7]);
  expect(told.stranger).toBeUndefined();
  judge.packet(Buffer.from('80c9000100000001', 'hex'), told);
  expect(judge.takeWrong()).toBeUndefined();
  judge.packet(Buffer.from('80c9000200000001', 'hex'), told);
  expect(judge.takeWrong()).toBeDefined();
  judge.packet(Buffer.from('4060000100000000', 'hex'), told);
  expect(judge.takeWrong()).toBeDefined();
});
