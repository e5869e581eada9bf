import { type Logger, VirtualClock } from '@orama/core';
import { type NodeRow, StoreUnavailableError } from '@orama/store';
import { expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { nodeRow, settings, turnRow } from '../../testing/rows.ts';
import type { Firewall, FirewallRule } from '../firewall/firewall.ts';
import { joinDesired } from '../reconcile/desired.ts';
import type { View } from '../reconcile/store-view.ts';
import { FirewallTask } from './firewall.ts';

/** What a firewall does for the task, in memory: the real ones run in test/nodes. */
class Rules implements Firewall {
  readonly lookMs = 5_000;
  readonly tags = new Set<string>();
  overruled: { tag: string; by: string }[] = [];
  looks = 0;

  async compare(wanted: readonly FirewallRule[]) {
    this.looks += 1;
    const keep = new Set(wanted.map(({ tag }) => tag));
    return {
      add: wanted.filter(({ tag }) => !this.tags.has(tag)),
      remove: [...this.tags].filter((tag) => !keep.has(tag)),
      overruled: this.overruled,
    };
  }
  async add({ tag }: FirewallRule): Promise<void> {
    this.tags.add(tag);
  }
  async remove(tags: readonly string[]): Promise<void> {
    for (const tag of tags) this.tags.delete(tag);
  }
}

const config = testConfig('/nowhere');
const viewOf = (own: Partial<NodeRow>, rows = [turnRow('demo', 1)]) =>
  ({
    nodes: async () => [nodeRow(1, own)],
    invitations: async () => [],
    here: joinDesired([settings('demo')], rows),
  }) as unknown as View;

function start(view: () => Promise<View> | null) {
  const rules = new Rules();
  const clock = new VirtualClock();
  const warnings: unknown[] = [];
  const logger = { warn: (fields: object) => warnings.push(fields) } as unknown as Logger;
  const task = new FirewallTask({ config, clock, logger }, rules, view);
  const run = async () => {
    for (const action of await task.plan()) await task.apply(action);
    return [...rules.tags].filter((tag) => tag.includes('TURN 3478') || tag.includes('gateway'));
  };
  return { rules, clock, warnings, run };
}
const WEB = ['orama gateway 80/tcp', 'orama gateway 443/tcp'];
const TURN = ['orama TURN 3478/udp', 'orama TURN 3478/tcp'];

test('before the store is reached the node is open for what it always needs, and nothing is closed', async () => {
  let view: () => Promise<View> | null = () => null;
  const { rules, run } = start(() => view());
  rules.tags.add('orama TURN 3478/udp');
  expect(await run()).toEqual(['orama TURN 3478/udp', ...WEB]);
  view = () => Promise.reject(new StoreUnavailableError('it is away'));
  expect(await run()).toEqual(['orama TURN 3478/udp', ...WEB]);
  view = async () => viewOf({}, []);
  expect(await run()).toEqual(WEB);
});

test('what a namespace needs is open as long as it has a block here, and a node that was removed has nothing open', async () => {
  let view = viewOf({});
  const { rules, run } = start(async () => view);
  expect(await run()).toEqual([...WEB, ...TURN]);
  view = viewOf({}, []);
  expect(await run()).toEqual(WEB);
  view = viewOf({ state: 'gone' });
  await run();
  expect([...rules.tags]).toEqual([]);
});

test('the firewall is looked at again when its time has come, or something else is wanted', async () => {
  let view = viewOf({});
  const { rules, clock, run } = start(async () => view);
  await run();
  await run();
  const settled = rules.looks;
  await run();
  expect(rules.looks).toBe(settled);
  rules.tags.clear();
  clock.advance(5_000);
  expect(await run()).toEqual([...WEB, ...TURN]);
  await run();
  view = viewOf({}, []);
  expect(await run()).toEqual(WEB);
});

test('what a rule of the operator overrules is told once, and again after he had taken that away', async () => {
  const { rules, clock, warnings, run } = start(() => null);
  const overruled = [{ tag: 'orama gateway 80/tcp', by: 'deny 80/tcp' }];
  for (const now of [overruled, overruled, [], overruled]) {
    rules.overruled = now;
    clock.advance(5_000);
    await run();
  }
  expect(warnings).toEqual([
    { rule: 'orama gateway 80/tcp', by: 'deny 80/tcp' },
    { rule: 'orama gateway 80/tcp', by: 'deny 80/tcp' },
  ]);
});
