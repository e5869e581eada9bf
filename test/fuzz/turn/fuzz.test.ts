import { describe, expect, test } from 'vitest';
import { fuzzTurn } from './fuzzer.ts';
import { MODES } from './server-under-test.ts';

describe.each(MODES)('%s', (mode) => {
  test('a thousand mutants of each kind of real traffic break no rule of the TURN server', async () => {
    const { inputs, answers, relayedToPeer, relayedToClient } = await fuzzTurn(mode, { seed: 1, inputs: 6000 });
    for (const kind of ['udp', 'tcp', 'tls'] as const) expect(inputs[kind]).toBeGreaterThan(900);
    expect(inputs.changes).toBeGreaterThan(10);
    // The mutants got far enough to mean something: behind authentication, and through the relay both ways.
    expect(answers.get(0)).toBeGreaterThan(200);
    expect(answers.get(401)).toBeGreaterThan(200);
    expect(relayedToPeer).toBeGreaterThan(50);
    expect(relayedToClient).toBeGreaterThan(5);
  });
});
