import { SecretBox } from '@orama/core';
import { TURN_SECRET_PURPOSE } from '@orama/store';
import { expect, test } from 'vitest';
import { settings } from '../../testing/rows.ts';
import { openTurnSecrets } from './desired.ts';

const box = new SecretBox('cluster key', TURN_SECRET_PURPOSE);
const ENDS = 1_000_000;
const rotated = {
  ...settings('demo', box.seal('current secret', 'demo')),
  previousTurnSharedSecret: box.seal('former secret', 'demo'),
  previousSecretExpiresAtMs: ENDS,
};

test('openTurnSecrets() has the former secret as valid until its end of life, and as retired from then on', () => {
  const current = 'current secret';
  const valid = { current, valid: [current, 'former secret'], retired: [] };
  expect(openTurnSecrets(rotated, box, ENDS - 1)).toEqual(valid);
  expect(openTurnSecrets(rotated, box, ENDS)).toEqual({ current, valid: [current], retired: ['former secret'] });
});

test('openTurnSecrets() has the secret that takes over as valid beside the current one, and all before as retired', () => {
  const seal = (secret: string) => box.seal(secret, 'demo');
  const announced = {
    ...rotated,
    nextTurnSharedSecret: seal('next'),
    retiredTurnSharedSecrets: [seal('b'), seal('a')],
  };
  expect(openTurnSecrets(announced, box, ENDS - 1)).toEqual({
    current: 'current secret',
    valid: ['current secret', 'next'],
    retired: ['former secret', 'b', 'a'],
  });
});

test('openTurnSecrets() needs the former secret no more once its life is over', () => {
  const unreadable = { ...rotated, previousTurnSharedSecret: 'enc:broken' };
  expect(openTurnSecrets(unreadable, box, ENDS - 1)).toBeNull();
  expect(openTurnSecrets(unreadable, box, ENDS)?.retired).toEqual([]);
});

test('openTurnSecrets() opens nothing with another cluster key, or the secret of another namespace', () => {
  expect(openTurnSecrets(rotated, new SecretBox('another key', TURN_SECRET_PURPOSE), 0)).toBeNull();
  expect(openTurnSecrets({ ...rotated, namespace: 'other' }, box, 0)).toBeNull();
});
