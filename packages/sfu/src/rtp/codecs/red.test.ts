import { expect, test } from 'vitest';
import { RtpView } from '../header.ts';
import { renumberRed } from './red.ts';

function renumbered(payload: number[], from = 111, to = 96): number[] {
  const packet = Buffer.from([...new Array(12).fill(111), ...payload, 111]);
  const view = new RtpView();
  view.payloadStart = 12;
  view.payloadEnd = 12 + payload.length;
  renumberRed(packet, view, from, to);
  expect([...packet.subarray(0, 12), packet.at(-1)]).toEqual(new Array(13).fill(111));
  return [...packet.subarray(12, -1)];
}

test('renumberRed changes the payload type of every block header and nothing else', () => {
  expect(renumbered([111, 111])).toEqual([96, 111]);
  expect(renumbered([0xef, 111, 111, 111, 0xef, 1, 2, 3, 111, 111])).toEqual([
    0xe0, 111, 111, 111, 0xe0, 1, 2, 3, 96, 111,
  ]);
  expect(renumbered([0xef, 1, 2, 3, 13, 9])).toEqual([0xe0, 1, 2, 3, 13, 9]);
});

test('renumberRed stays inside the payload where block headers are cut off', () => {
  expect(renumbered([])).toEqual([]);
  expect(renumbered([0xef, 1])).toEqual([0xe0, 1]);
  expect(renumbered([0xef, 1, 2, 3, 0xef])).toEqual([0xe0, 1, 2, 3, 0xe0]);
});
