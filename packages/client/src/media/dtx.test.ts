import { expect, test } from 'vitest';
import { withDtx } from './dtx.ts';

const audio = (mid: string, parameters = 'a=fmtp:111 minptime=10;useinbandfec=1\r\n') =>
  `m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:${mid}\r\na=rtpmap:111 opus/48000/2\r\n${parameters}a=recvonly\r\n`;
const SESSION = 'v=0\r\ns=-\r\n';

test('the Opus of the named m-lines is sent discontinuously, and nothing else changes', () => {
  const [first, second] = [audio('0'), audio('10')];
  const video = 'm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=fmtp:96 x=1\r\n';
  expect(withDtx(SESSION + first + video + second, new Set(['10', '1']))).toBe(
    SESSION + first + video + audio('10', 'a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n'),
  );
});

test('also where the server names no parameters', () => {
  expect(withDtx(SESSION + audio('0', ''), new Set(['0']))).toBe(SESSION + audio('0', 'a=fmtp:111 usedtx=1\r\n'));
});

test('a refused m-line stays as it is', () => {
  const refused = `${SESSION}m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=inactive\r\n`;
  expect(withDtx(refused, new Set(['0']))).toBe(refused);
});
