import { stunUriSchema } from '@orama/protocol';
import { expect, test } from 'vitest';
import { CheckFailure, ChecksFailed } from './failure.ts';

const WHY = 'node-1 serves no TURN now: drained';
const login = { namespace: 'demo', down: new Map([['192.0.2.1', WHY]]) };

function failed(step: 'connect' | 'trust' | 'allocate', address: string): CheckFailure {
  const uri = `turn:${address}`;
  const result = { uri, server: stunUriSchema.parse(uri), resolve: { address, ms: 1 } };
  return new CheckFailure(step, result, login, new Error('no answer'));
}

test('what the cluster knows of a server comes before guesses, except about its certificate', () => {
  expect(failed('allocate', '192.0.2.1').hint).toBe(WHY);
  expect(failed('connect', '192.0.2.1').hint).toBe(WHY);
  expect(failed('trust', '192.0.2.1').hint).toContain('--insecure');
  expect(failed('allocate', '192.0.2.2').hint).toContain('firewall');
});

test('several failures are told as the first one, with how many there are', () => {
  const [first, other] = [failed('allocate', '192.0.2.2'), failed('allocate', '192.0.2.1')];
  const { result } = failed('connect', '192.0.2.3');
  const all = new ChecksFailed([first, result, other], [first, other]);
  expect(all.message).toMatch(/^turn:192\.0\.2\.2: no answer .* \(and 1 more of 3 failed, see above\)$/);
  expect(all.details?.checks).toMatchObject([{ failed: { step: 'allocate' } }, result, { failed: { hint: WHY } }]);
});
