import fc from 'fast-check';
import { expect, test } from 'vitest';
import { opaqueString } from './opaque-string.ts';
import { longTermKey } from './password-algorithms.ts';

// The examples of RFC 8265 section 4.3, and what tells the profile from its forerunner.
test.each([
  ['correct horse battery staple', 'correct horse battery staple'],
  ['Correct Horse Battery Staple', 'Correct Horse Battery Staple'],
  ['πßå', 'πßå'],
  ['Jack of ♦s', 'Jack of ♦s'],
  ['foo\u1680bar', 'foo bar'],
  ['foo\u00a0\u3000bar', 'foo  bar'],
  ['A\u030angström', 'Ångström'],
  ['ª', 'ª'],
  ['マトリックス', 'マトリックス'],
])('opaqueString prepares %j as %j', (typed, prepared) => {
  expect(opaqueString(typed, 'password')).toBe(prepared);
});

test.each([
  ['', 'empty'],
  ['my cat is a \u0009by', 'U\\+0009'],
  ['I\u00adX', 'U\\+00AD'],
  ['a\u200bb', 'U\\+200B'],
  ['\u2028', 'U\\+2028'],
  ['\u1100', 'U\\+1100'],
  ['\ue000', 'U\\+E000'],
  ['\ufffe', 'U\\+FFFE'],
  ['\ud800', 'U\\+D800'],
  ['\u{e0001}', 'U\\+E0001'],
])('opaqueString refuses %j and names what it refuses', (typed, name) => {
  expect(() => opaqueString(typed, 'password')).toThrow(new RegExp(`the password .*${name}`));
});

test('what has been prepared stays as it is, whatever was typed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (typed) => {
      let prepared: string;
      try {
        prepared = opaqueString(typed, 'password');
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(RangeError);
        return;
      }
      expect(opaqueString(prepared, 'password')).toBe(prepared);
    }),
  );
});

test('one password typed in two ways makes one key, another password another', () => {
  const key = (password: string) => longTermKey('user', 'realm', password).toString('hex');
  expect(key('A\u030angström')).toBe(key('Ångström'));
  expect(key('Angström')).not.toBe(key('Ångström'));
});
