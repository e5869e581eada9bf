import { systemClock } from '@orama/core';
import { createMetrics } from '@orama/core/metrics';
import type { ControlplaneConfig } from '@orama/protocol';
import { expect, test } from 'vitest';
import type { NodeContext } from '../node-context.ts';
import type { View } from '../reconcile/store-view.ts';
import { HeldUnits } from '../services/held-units.ts';
import { Monitor } from './monitor.ts';

test('what a service is cannot be measured while the store is away, and that it is away can', async () => {
  const report = { nodeId: 'node-1', namespace: 'demo', service: 'sfu', desired: 'running', healthy: true };
  const view = {
    nodes: async () => [],
    reportsHere: async () => new Map([['demo', [report]]]),
    allocations: [],
  } as unknown as View;
  let isUp = true;
  const context = {
    clock: systemClock,
    config: { node: 'node-1' } as ControlplaneConfig,
    view: { read: async () => (isUp ? view : Promise.reject(new Error('no leader'))) },
  } as unknown as NodeContext;
  const metrics = createMetrics('controlplane');
  const unused = () => {
    throw new Error('not asked here');
  };
  new Monitor({
    version: '1',
    turn: { advertise: 'names' },
    metrics,
    context: () => context,
    peer: unused,
    held: new HeldUnits('/nonexistent'),
    storeProbe: unused,
  });
  const up = async (name: string) => (await metrics.getSingleMetric(name)?.get())?.values.map(({ value }) => value);
  expect(await up('orama_service_up')).toEqual([1]);
  expect(await up('orama_store_up')).toEqual([1]);
  isUp = false;
  expect(await up('orama_service_up')).toEqual([]);
  expect(await up('orama_store_up')).toEqual([0]);
  expect(await up('orama_turn_advertises_names')).toEqual([1]);
});
