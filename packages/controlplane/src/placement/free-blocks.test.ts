import type { PortAllocationRow } from '@orama/store';
import { expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { allocate } from './allocate.ts';
import { countFreeBlocks } from './free-blocks.ts';

const config = testConfig('/nowhere');
const ports = { ...config.ports, turnListenPort: 3478, turnTlsPort: 5349 };
const node = { id: config.node, wireguardIp: config.wireguardIp };

test('countFreeBlocks() says how many more allocate() gives, to the last', () => {
  const taken: PortAllocationRow[] = [];
  for (const service of ['sfu', 'turn'] as const) {
    const { total } = countFreeBlocks(config, [])[service];
    expect(total).toBeGreaterThanOrEqual(19);
    for (let left = total; left > 0; left -= 1) {
      expect(countFreeBlocks(config, taken)[service].free).toBe(left);
      const row = allocate(service, node, taken, { namespace: `n${left}`, ports, nowMs: 0 });
      expect(row).not.toHaveProperty('exhausted');
      taken.push(row as PortAllocationRow);
    }
    expect(countFreeBlocks(config, taken)[service].free).toBe(0);
    expect(allocate(service, node, taken, { namespace: 'more', ports, nowMs: 0 })).toHaveProperty('exhausted');
  }
  const elsewhere = taken.map((row) => ({ ...row, hostIp: '127.83.0.9' }));
  expect(countFreeBlocks(config, elsewhere)).toEqual(countFreeBlocks(config, []));
});
