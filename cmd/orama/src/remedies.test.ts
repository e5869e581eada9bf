import { expect, test } from 'vitest';
import { logOf, reinstall, startCluster, startGateway } from './remedies.ts';

test('on a node with a release nothing is mended with what a checkout has', () => {
  const place = { isNode: true, isRelease: true };
  const services = ['controlplane', 'gateway', 'turn', 'rqlited', 'nameserver', 'sfu'];
  const said = [
    startCluster(place),
    startGateway(place),
    reinstall(place),
    ...services.map((one) => logOf(place, one)),
  ];
  for (const text of said) expect(text).not.toMatch(/orama dev|pnpm|node_modules/);
  expect(services.map((one) => logOf(place, one).split("'")[1])).toEqual([
    ...['orama-controlplane', 'orama-gateway', 'orama-turn', 'orama-rqlited', 'orama-controlplane'],
    'orama-namespace-sfu@*',
  ]);
});

test('in a checkout nothing is mended with systemd or an installer', () => {
  const place = { isNode: false, isRelease: false };
  const said = [startCluster(place), startGateway(place), reinstall(place), logOf(place, 'turn of node-1')];
  for (const text of said) expect(text).not.toMatch(/systemctl|journalctl|install\.sh|apt-get/);
});
