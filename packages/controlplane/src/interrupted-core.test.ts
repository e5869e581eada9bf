import { waitFor, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../testing/cluster.ts';
import { CONTROLPLANE_FAILPOINTS, GATEWAY_UNIT } from './index.ts';
import { readProcess } from './services/proc.ts';

// One node whose controlplane dies at each step of its own services, and is started again by whoever keeps it running. The
// steps of enable and disable: test/e2e/interrupted.test.ts.
const TIMEOUT_MS = 60_000;

let cluster: TestCluster;

beforeAll(async () => {
  cluster = new TestCluster('83.60', {}, 1);
  await cluster.start();
}, TIMEOUT_MS);

afterAll(() => cluster.stop(), TIMEOUT_MS);

test.each(CONTROLPLANE_FAILPOINTS.filter((name) => name.includes('core-')))(
  'a core service gets its new configuration when the controlplane dies at %s',
  async (name) => {
    const node = cluster.node(1);
    const former = cluster.runFile(node, GATEWAY_UNIT)?.pid ?? 0;
    cluster.arm(name);
    await cluster.reconfigure(node, { logLevel: node.config.logLevel === 'debug' ? 'info' : 'debug' });
    const pid = await waitFor('the gateway to run anew', () => {
      cluster.startProcesses();
      const now = cluster.runFile(node, GATEWAY_UNIT)?.pid;
      return !cluster.isArmed(name) && now !== former && now;
    });
    expect(readProcess(former)).toBeNull();
    expect(readProcess(pid)).not.toBeNull();
    await waitUntil(
      'the node to be ready',
      () => {
        cluster.startProcesses();
        return cluster.client.cluster();
      },
      ({ nodes }) => nodes.every((one) => one.core.every((core) => core.healthy)),
    );
  },
  TIMEOUT_MS,
);
