import { expect, test } from 'vitest';
import { turnServerOf } from './turn-bridge.ts';

test('turnServerOf picks the URI of the wanted transport', () => {
  const uris = ['turn:127.0.0.1:3478?transport=udp', 'turn:127.0.0.2:3479?transport=tcp', 'turns:127.0.0.3:5349'];
  expect(turnServerOf(uris, 'udp')).toEqual({ address: '127.0.0.1', port: 3478 });
  expect(turnServerOf(uris, 'tcp')).toEqual({ address: '127.0.0.2', port: 3479 });
  expect(() => turnServerOf(['turns:127.0.0.3:5349'], 'tcp')).toThrow('no turn: URI with transport tcp');
});
