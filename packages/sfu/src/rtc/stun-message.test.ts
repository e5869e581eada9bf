import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  BINDING,
  type BindingMessage,
  buildCheck,
  buildRefusal,
  buildSuccess,
  hasIntegrity,
  isStun,
  readBinding,
} from './stun-message.ts';

// RFC 5769 section 2.1: a connectivity check with short-term credentials.
const SAMPLE_REQUEST = Buffer.from(
  `00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74 00240004 6e0001ff
   80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249
   c1b571a2 80280004 e57a3bcf`.replaceAll(/\s/g, ''),
  'hex',
);
const SAMPLE_PASSWORD = 'VOkJxbRl1RmTxUk/WvJxBt';
const transactionId = randomBytes(12);
const check = {
  ...{ transactionId, username: 'sfu:peer', password: 'secret', priority: 0x7effffff },
  ...{ role: 'controlling' as const, tieBreaker: Buffer.alloc(8), useCandidate: true },
};

test('readBinding reads the sample request of RFC 5769, whose integrity holds with its password only', () => {
  expect(isStun(SAMPLE_REQUEST)).toBe(true);
  const message = readBinding(SAMPLE_REQUEST) as BindingMessage;
  expect(message).toMatchObject({
    ...{ type: BINDING.request, username: 'evtj:h6vY', priority: 0x6e0001ff },
    ...{ role: 'controlled', zeroTieBreaker: false, useCandidate: false },
  });
  expect(hasIntegrity(SAMPLE_REQUEST, message, SAMPLE_PASSWORD)).toBe(true);
  expect(hasIntegrity(SAMPLE_REQUEST, message, 'another')).toBe(false);
});

test('a check that was built is read as it was meant, and every changed byte that integrity covers breaks it', () => {
  const datagram = buildCheck(check);
  const message = readBinding(datagram) as BindingMessage;
  expect(message).toMatchObject({
    username: 'sfu:peer',
    role: 'controlling',
    zeroTieBreaker: true,
    useCandidate: true,
  });
  expect(hasIntegrity(datagram, message, 'secret')).toBe(true);
  for (let at = 0; at < message.integrityAt + 24; at++) {
    const changed = Buffer.from(datagram);
    changed[at] = (changed[at] as number) ^ 1;
    const read = readBinding(changed);
    expect(read !== null && hasIntegrity(changed, read, 'secret'), `byte ${at}`).toBe(false);
  }
});

test('what follows MESSAGE-INTEGRITY is not read: nobody vouches for it', () => {
  const plain = buildCheck({ ...check, useCandidate: false });
  const forged = Buffer.concat([plain, Buffer.from([0, 0x25, 0, 0])]);
  forged.writeUInt16BE(forged.length - 20, 2);
  expect(readBinding(forged)).toMatchObject({ useCandidate: false });
});

test('an answer tells the address it answers, IPv4 and IPv6, XORed (RFC 5769 sections 2.2 and 2.3)', () => {
  const id = Buffer.from('b7e7a701bc34d686fa87dfae', 'hex');
  const mapped = (address: string) => buildSuccess(id, { address, port: 32_853 }, SAMPLE_PASSWORD).toString('hex');
  expect(mapped('192.0.2.1')).toContain('002000080001a147e112a643');
  expect(mapped('2001:db8:1234:5678:11:2233:4455:6677')).toContain('002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9');
});

test('a refusal is an error response with integrity', () => {
  const datagram = buildRefusal(transactionId, 'secret');
  const message = readBinding(datagram) as BindingMessage;
  expect(message.type).toBe(BINDING.error);
  expect(message.transactionId.equals(transactionId)).toBe(true);
  expect(hasIntegrity(datagram, message, 'secret')).toBe(true);
});

test('readBinding returns or returns null, whatever comes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(150), fc.nat(255), (noise, at, value) => {
      const damaged = buildCheck(check);
      damaged[at % damaged.length] = value;
      for (const datagram of [Buffer.from(noise), damaged]) {
        if (!isStun(datagram)) continue;
        const message = readBinding(datagram);
        if (message) hasIntegrity(datagram, message, 'secret');
      }
    }),
    { numRuns: 2_000 },
  );
});
