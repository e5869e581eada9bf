import { ATTRIBUTE, CLASS, encodeChannelData, icmp, METHOD, StunWriter } from '@orama/turn/stun';
import { beforeEach, expect, test } from 'vitest';
import { FORBIDDEN_DATA, Judge } from './judge.ts';
import { DatagramQuestions, type Questions, StreamQuestions } from './questions.ts';
import { PEER_IP, PEER_PORTS } from './server-under-test.ts';

const ID = Buffer.alloc(12, 5);
let judge: Judge;
let questions: DatagramQuestions;
beforeEach(() => {
  judge = new Judge();
  questions = new DatagramQuestions();
});

const KEY = Buffer.from('key');
const tell = (packet: Buffer, asked: Questions = questions) =>
  judge.toClient(packet, { questions: asked, address: '10.1.0.1', port: 5000, key: KEY });

const request = (method: number = METHOD.allocate) => new StunWriter(method, CLASS.request, ID).finish();
const answer = (bytes = 8, key?: Buffer) =>
  new StunWriter(METHOD.allocate, CLASS.success, ID).bytes(ATTRIBUTE.software, Buffer.alloc(bytes)).finish({ key });

const REFUSED = { type: 3, code: 3, data: 0 };
const indication = (peer: string) =>
  new StunWriter(METHOD.data, CLASS.indication, ID).address(ATTRIBUTE.xorPeerAddress, peer, PEER_PORTS.start);

test('a Data indication tells data or an ICMP error of a peer', () => {
  tell(indication(PEER_IP).bytes(ATTRIBUTE.data, Buffer.of(1)).finish());
  tell(indication(PEER_IP).bytes(ATTRIBUTE.icmp, icmp(REFUSED)).finish());
  expect(judge.takeWrong()).toBeUndefined();
});

test('one small answer to one request is right, and so is a large one that is sealed', () => {
  questions.asking(request());
  tell(answer());
  questions.asking(request());
  tell(answer(200, KEY));
  expect(judge.takeWrong()).toBeUndefined();
  expect(judge.answers.get(0)).toBe(2);
});

test.each<[string, () => void]>([
  ['more answers than requests', () => [answer(), answer()].map((each) => tell(each))],
  ['of somebody unknown', () => tell(answer(40))],
  ['was not sent', () => tell(answer(), new DatagramQuestions())],
  ['on a stream', () => tell(answer(), new StreamQuestions())],
  ['a request from the server', () => tell(request())],
  ['cannot be parsed', () => tell(answer().subarray(0, 24))],
  ['cut short', () => tell(encodeChannelData(0x4000, Buffer.alloc(9), false).subarray(0, 8))],
  ['without permission', () => tell(encodeChannelData(0x4000, Buffer.of(FORBIDDEN_DATA), false))],
  ['without peer', () => tell(new StunWriter(METHOD.data, CLASS.indication, ID).finish())],
  ['either data or an ICMP error', () => tell(indication(PEER_IP).finish())],
  ['no peer', () => tell(indication('127.0.0.1').bytes(ATTRIBUTE.icmp, icmp(REFUSED)).finish())],
  ['error that is none', () => tell(indication(PEER_IP).bytes(ATTRIBUTE.icmp, Buffer.alloc(4)).finish())],
  ['500', () => tell(new StunWriter(METHOD.allocate, CLASS.error, ID).errorCode(500, '').finish())],
  ['sealed with another key', () => tell(answer(8, Buffer.from('another')))],
  [
    '10.1.0.2:5000 told to 10.1.0.1:5000',
    () =>
      tell(
        new StunWriter(METHOD.allocate, CLASS.success, ID)
          .address(ATTRIBUTE.xorMappedAddress, '10.1.0.2', 5000)
          .finish(),
      ),
  ],
  ['policy', () => judge.toPeer(PEER_IP, PEER_PORTS.end + 1)],
  ['policy', () => judge.toPeer('127.0.0.1', PEER_PORTS.start)],
])('what is wrong is seen: %s', (what, act) => {
  questions.asking(request());
  act();
  expect(judge.takeWrong()).toContain(what);
  expect(judge.takeWrong()).toBeUndefined();
});

test('an answer of another method than the request is wrong', () => {
  questions.asking(request(METHOD.refresh));
  tell(answer());
  expect(judge.takeWrong()).toContain('method');
});

test('where answers come later, one may be for an earlier and larger request with the same transaction id', () => {
  for (const [atOnce, fault] of [
    [true, 'somebody unknown'],
    [false, undefined],
  ] as const) {
    const asked = new DatagramQuestions(atOnce);
    asked.asking(Buffer.concat([request(), Buffer.alloc(40)]));
    asked.asking(request());
    tell(answer(60), asked);
    const wrong = judge.takeWrong();
    if (fault === undefined) expect(wrong).toBeUndefined();
    else expect(wrong).toContain(fault);
  }
});
