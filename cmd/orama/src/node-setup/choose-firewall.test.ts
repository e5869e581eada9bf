import { afterEach, expect, test, vi } from 'vitest';
import { createProgress } from '../output/progress.ts';
import { chooseFirewall, describeFound } from './choose-firewall.ts';

afterEach(() => vi.unstubAllEnvs());

const BY_HAND = 'iptables keeps ports closed: open those of docs/operations.md there yourself';

test('what keeps ports closed is told, and who opens them', () => {
  expect(describeFound('auto', { driver: 'none', byHand: null })).toEqual([
    'no firewall was found that keeps ports closed',
  ]);
  expect(describeFound('none', { driver: 'none', byHand: null })).toEqual([]);
  expect(describeFound('auto', { driver: 'none', byHand: 'iptables' })).toEqual([BY_HAND]);
  expect(describeFound('none', { driver: 'none', byHand: 'iptables' })).toEqual([BY_HAND]);
  expect(describeFound('auto', { driver: 'ufw', byHand: null })).toEqual(['ufw is told which ports the node needs']);
  expect(describeFound('none', { driver: 'ufw', byHand: null })).toEqual([
    'ufw keeps ports closed: open those of docs/operations.md in it, or have that done by --firewall auto',
  ]);
  expect(describeFound('auto', { driver: 'nftables', byHand: 'the nftables chain inet vpn input' })).toHaveLength(2);
});

test.each(['ufw', 'nftables'] as const)(
  '%s is refused where it is not installed, and its package named',
  async (driver) => {
    vi.stubEnv('PATH', '/var/empty');
    const silent = await createProgress(process.stderr, '', true);
    await expect(chooseFirewall(driver, silent)).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
      message: expect.stringContaining(`--firewall ${driver}: the program`),
      hint: `on Debian: apt-get install -y ${driver}; then run the same command again`,
    });
  },
);
