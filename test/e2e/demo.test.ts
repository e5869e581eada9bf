import { LocalCluster } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

const JOINS = 20;
let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 100 });
  await cluster.createEnabled('swift');
});
afterAll(() => cluster?.stop());

test('"orama demo --check" holds a call of browsers, measures 20 joins, prints both and ends with 0', async () => {
  const result = await cluster.orama('demo', '--check', '--namespace', 'swift', '--joins', String(JOINS), '--json');
  const report = JSON.parse(result.stdout) as {
    passed: boolean;
    problems: string[];
    received: { page: string; framesDecoded: number; audioEnergy: number; pair: string }[];
    joins: { count: number; medianMs: number; worstMs: number; allMs: number[] };
  };
  console.log(`join to first decoded frame: median ${report.joins.medianMs} ms, worst ${report.joins.worstMs} ms`);
  expect(report).toMatchObject({ passed: true, problems: [], joins: { count: JOINS } });
  expect(report.joins.allMs).toHaveLength(JOINS);
  expect(report.received.map(({ page }) => page).sort()).toEqual(['alice', 'bob']);
  for (const row of report.received) {
    expect(row.framesDecoded).toBeGreaterThan(0);
    expect(row.audioEnergy).toBeGreaterThan(0);
    expect(row.pair).toMatch(/^relay\/udp to /);
  }
}, 180_000);
