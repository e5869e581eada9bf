import { readFileSync } from 'node:fs';
import { waitFor, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../testing/cluster.ts';
import { CONTROLPLANE_FAILPOINTS, GATEWAY_UNIT } from './index.ts';
import { readProcess } from './services/proc.ts';

// One node whose controlplane dies at each step in turn, and is started again by whoever keeps it running.
const TIMEOUT_MS = 60_000;
const NAMESPACE = 'demo';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = new TestCluster('83.60', {}, 1);
  await cluster.start();
  await cluster.client.createNamespace(NAMESPACE);
}, TIMEOUT_MS);

afterAll(() => cluster.stop(), TIMEOUT_MS);

/** Runs the command again and again, as an operator would, until the namespace is where it should be. */
async function persist(command: 'enable' | 'disable'): Promise<void> {
  const state = command === 'enable' ? 'enabled' : 'off';
  await waitUntil(
    `${NAMESPACE} to be ${state}`,
    async () => {
      cluster.startProcesses();
      if (command === 'enable') await cluster.client.enableWebrtc(NAMESPACE, { sfuNodeCount: 1, turnNodeCount: 1 });
      else await cluster.client.disableWebrtc(NAMESPACE);
      return cluster.client.webrtcStatus(NAMESPACE);
    },
    (status) => status.state === state && (state === 'off' || status.healthy),
  );
}

/** What of the namespace is in the store but for its own row and the journal. */
async function rows(): Promise<number> {
  const store = await cluster.store();
  const lists = [store.webrtc.list(), store.ports.list(), store.reports.list(), store.dns.list()];
  return (await Promise.all<unknown[]>(lists)).flat().length + (await store.operations.listRunning()).length;
}

const atRun = (name: string) => !name.includes('core-');

test.each(CONTROLPLANE_FAILPOINTS.filter(atRun))(
  'enable and disable end right when the controlplane dies at %s',
  async (name) => {
    cluster.arm(name);
    await persist('enable');
    const { services } = await cluster.client.webrtcStatus(NAMESPACE);
    expect(services.map((service) => service.healthy)).toEqual([true, true]);
    await persist('disable');
    expect(cluster.isArmed(name), 'the failpoint was passed').toBe(false);
    await cluster.waitReady({ restarting: true });
    expect(await rows()).toBe(0);
    expect(cluster.runFile(cluster.node(1), `orama-namespace-sfu@${NAMESPACE}`)).toBeNull();
    expect(readFileSync(cluster.zoneFile, 'utf8')).not.toContain(NAMESPACE);
  },
  TIMEOUT_MS,
);

test.each(CONTROLPLANE_FAILPOINTS.filter((name) => !atRun(name)))(
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
