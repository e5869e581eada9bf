import { StunMessage } from '@orama/turn/stun';
import { expect, test } from 'vitest';
import { Random } from '../../support/random.ts';
import { readCorpus } from './corpus.ts';
import { putTogether, takeApart, unseal } from './message.ts';
import { mutateAttributes, mutateBytes } from './mutate.ts';

const corpus = readCorpus();
const messages = corpus.flatMap((packet) => takeApart(packet) ?? []);

test('a message of the corpus that is taken apart is put together again byte for byte, but for its padding', () => {
  for (const packet of corpus) {
    const message = takeApart(packet);
    if (message === undefined) continue;
    const again = takeApart(putTogether(message));
    expect(again).toEqual(message);
    expect(StunMessage.parse(packet)).toBeDefined();
  }
});

test('a sealed mutant holds its integrity and fingerprint whatever was done to its attributes', () => {
  const random = new Random(3);
  const key = Buffer.from('a key of sixteen');
  const credentials = { username: '1:demo', realm: 'orama.localhost', nonce: Buffer.alloc(20, 65), key };
  let sealed = 0;
  for (let n = 0; n < 500; n++) {
    const mutant = mutateAttributes(unseal(random.pick(messages)), corpus, random);
    // A length that lies hides the seal, as does another one in front of it.
    const whole = mutant.attributes.every(({ saysLength }) => saysLength === undefined);
    const parsed = StunMessage.parse(putTogether(unseal(mutant), credentials, true));
    if (whole && parsed?.integrityMatches(key) === true) sealed++;
  }
  expect(sealed).toBeGreaterThan(300);
});

test('the same seed makes the same mutants', () => {
  const mutants = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 50 }, () => mutateBytes(random.pick(corpus), corpus, random).toString('hex'));
  };
  expect(mutants(7)).toEqual(mutants(7));
  expect(mutants(7)).not.toEqual(mutants(8));
});
