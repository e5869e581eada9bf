import { expect, test } from 'vitest';
import { readCallOptions, withoutCredential } from './call-options.ts';

const LINK =
  'http://ns-demo.orama.localhost:6080/call/#api_key=k%2B1&room=a%23b&name=Ada%20L&source=synthetic&autojoin=1';

test('readCallOptions() reads the fragment', () => {
  expect(readCallOptions(new URL(LINK))).toEqual({
    apiKey: 'k+1',
    token: '',
    room: 'a#b',
    name: 'Ada L',
    source: 'synthetic',
    autojoin: true,
  });
});

test('readCallOptions() takes the query too, the fragment winning, and defaults to the camera', () => {
  expect(readCallOptions(new URL('http://x/call/?room=q&name=n&token=t#room=f'))).toEqual({
    apiKey: '',
    token: 't',
    room: 'f',
    name: 'n',
    source: 'camera',
    autojoin: false,
  });
});

test('withoutCredential() leaves a link that others may see, and that still leads to the same room', () => {
  const clean = new URL(withoutCredential(new URL(`${LINK.replace('/#', '/?api_key=q1&token=q2#')}`)));
  expect(clean.href).not.toMatch(/k%2B1|q1|q2/);
  expect(readCallOptions(clean)).toMatchObject({ apiKey: '', token: '', room: 'a#b', name: 'Ada L' });
});
