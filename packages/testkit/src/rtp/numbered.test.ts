import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildNumberedPacket, readNumberedPacket } from './numbered.ts';

test('readNumberedPacket gives back the number, sequence number and SSRC that buildNumberedPacket wrote', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('audio' as const, 'video' as const),
      fc.boolean(),
      fc.nat(0xffff),
      fc.nat(0xffffffff),
      fc.nat(0xffffffff),
      (kind, keyFrame, sequenceNumber, ssrc, number) => {
        const bytes = buildNumberedPacket({
          kind,
          keyFrame,
          sequenceNumber,
          ssrc,
          number,
          payloadType: 96,
          timestamp: number,
        });
        expect(readNumberedPacket(bytes)).toEqual({ ssrc, sequenceNumber, number });
      },
    ),
  );
});

test('readNumberedPacket takes no RTCP, no short packet and no foreign payload', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => readNumberedPacket(Buffer.from(bytes)) === null));
  const rtcp = buildNumberedPacket({
    ...{ kind: 'audio', keyFrame: false, sequenceNumber: 1, ssrc: 2, number: 3, payloadType: 111, timestamp: 4 },
    kind: 'audio',
  });
  rtcp[1] = 200;
  expect(readNumberedPacket(rtcp)).toBeNull();
});
