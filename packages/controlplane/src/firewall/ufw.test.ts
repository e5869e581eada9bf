import { expect, test } from 'vitest';
import type { FirewallRule } from './firewall.ts';
import { compareRules } from './ufw.ts';

const web: FirewallRule = {
  tag: 'orama gateway 80/tcp',
  action: 'allow',
  ports: { protocol: 'tcp', from: 80, to: 80 },
};
const media: FirewallRule = {
  tag: 'orama SFU media 20000-29999/udp on orama0',
  action: 'allow',
  ports: { protocol: 'udp', from: 20_000, to: 29_999 },
  interface: 'orama0',
};
const inner: FirewallRule = {
  tag: 'orama nodes only 10.0.0.1 on eth0',
  action: 'deny',
  interface: 'eth0',
  to: '10.0.0.1',
};
const shown = (...rules: string[]) =>
  ["Added user rules (see 'ufw status' for running firewall):", ...rules.map((rule) => `ufw ${rule}`), ''].join('\n');

test('compareRules adds what is not there and removes what is ours and not wanted, by their comments', () => {
  const there = shown(
    'allow 22/tcp',
    "allow 80/tcp comment 'orama gateway 80/tcp'",
    "allow 53/udp comment 'orama DNS 53/udp'",
  );
  expect(compareRules([web, media], there)).toEqual({ add: [media], remove: ['orama DNS 53/udp'], overruled: [] });
});

test.each(['allow 80/tcp', "allow 80/tcp comment 'my web'", 'allow log 80/tcp'])(
  'the operator has "%s" himself: it is left as it is',
  (rule) => {
    expect(compareRules([web], shown(rule))).toEqual({ add: [], remove: [], overruled: [] });
  },
);

// ufw would put our rule in the place of his.
test.each([
  [web, 'deny 80/tcp'],
  [web, 'limit log-all 80/tcp'],
  [media, 'reject in on orama0 to any port 20000:29999 proto udp'],
  [inner, 'allow in on eth0 to 10.0.0.1'],
])('what the operator says otherwise of the same port holds, and is told: $1', (rule, by) => {
  expect(compareRules([rule], shown(by))).toEqual({ add: [], remove: [], overruled: [{ tag: rule.tag, by }] });
});

test.each(['deny 80', 'deny 80/udp', 'deny from 203.0.113.7 to any port 80 proto tcp', 'route deny 80/tcp'])(
  '"%s" is another rule: ours is added behind it',
  (rule) => {
    expect(compareRules([web], shown(rule)).add).toEqual([web]);
  },
);
