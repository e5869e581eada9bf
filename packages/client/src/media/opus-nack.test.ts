import { expect, test } from 'vitest';
import { withOpusNack } from './opus-nack.ts';

const lines = (...all: string[]) => all.map((line) => `${line}\r\n`).join('');
const AUDIO = ['m=audio 9 UDP/TLS/RTP/SAVPF 111 63', 'a=mid:0', 'a=rtpmap:111 opus/48000/2'];
const REST = ['a=rtcp-fb:111 transport-cc', 'a=fmtp:111 minptime=10;useinbandfec=1', 'a=rtpmap:63 red/48000/2'];
const VIDEO = ['m=video 9 UDP/TLS/RTP/SAVPF 96', 'a=mid:1', 'a=rtpmap:96 VP8/90000', 'a=rtcp-fb:96 nack'];
const SESSION = ['v=0', 's=-'];
const NACK = 'a=rtcp-fb:111 nack';

test('an offer asks for the retransmission of Opus, once, and is otherwise as it was', () => {
  const before = lines(...SESSION, ...AUDIO, ...REST, ...VIDEO);
  const after = lines(...SESSION, ...AUDIO, NACK, ...REST, ...VIDEO);
  expect(withOpusNack(before)).toBe(after);
  expect(withOpusNack(after)).toBe(after);
});

test('an answer takes it up where it was offered, and only there', () => {
  const second = AUDIO.map((line) => line.replace('mid:0', 'mid:2'));
  const answer = lines(...SESSION, ...AUDIO, ...REST, ...VIDEO, ...second, ...REST);
  const offer = lines(...SESSION, ...AUDIO, ...REST, ...VIDEO, ...second, ...REST, NACK);
  expect(withOpusNack(answer, offer)).toBe(lines(...SESSION, ...AUDIO, ...REST, ...VIDEO, ...second, NACK, ...REST));
});

test('a description without Opus, or without anything, stays as it is', () => {
  for (const sdp of ['', lines(...SESSION), lines(...SESSION, ...VIDEO)]) expect(withOpusNack(sdp)).toBe(sdp);
});
