import { expect, test } from 'vitest';
import { turnServersOf } from './turn-bridge.ts';

test('turnServersOf gives the URIs of the wanted transport in their order', () => {
  const uris = [
    'turn:127.0.0.1:3478?transport=udp',
    'turn:127.0.0.2:3479?transport=tcp',
    'turn:127.0.0.2:3478?transport=udp',
    'turns:127.0.0.3:5349',
  ];
  expect(turnServersOf(uris, 'udp')).toEqual([
    { address: '127.0.0.1', port: 3478 },
    { address: '127.0.0.2', port: 3478 },
  ]);
  expect(turnServersOf(uris, 'tcp')).toEqual([{ address: '127.0.0.2', port: 3479 }]);
  expect(() => turnServersOf(['turns:127.0.0.3:5349'], 'tcp')).toThrow('no turn: URI with transport tcp');
});
