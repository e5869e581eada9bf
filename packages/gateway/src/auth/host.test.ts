import { describe, expect, it } from 'vitest';
import { namespaceOfHost } from './host.ts';

describe('namespaceOfHost', () => {
  it.each([
    ['ns-demo.orama.test', 'demo'],
    ['NS-Demo.Orama.Test', 'demo'],
    ['ns-demo.orama.test:6080', 'demo'],
    ['ns-demo.orama.test.', 'demo'],
    ['ns-a-b.orama.test', 'a-b'],
    ['ns-a.b.orama.test', 'a.b'],
  ])('finds the namespace of %s', (host, namespace) => {
    expect(namespaceOfHost(host, 'orama.test')).toBe(namespace);
  });

  it.each([
    undefined,
    '',
    '127.0.0.1:6080',
    '[::1]:6080',
    'orama.test',
    'demo.orama.test',
    'ns-demo.evil.test',
    'ns-demo.notorama.test',
    'xns-demo.orama.test',
  ])('leaves %s to the credential', (host) => {
    expect(namespaceOfHost(host, 'orama.test')).toBeNull();
  });
});
