import { PassThrough } from 'node:stream';
import type { ClusterReport } from '@orama/protocol';
import { expect, test } from 'vitest';
import { Output } from '../../output/output.ts';
import { describeReport } from './describe.ts';

const stream = new PassThrough() as unknown as NodeJS.WriteStream;
const output = new Output({ json: false, stdout: stream, stderr: stream });
const own = (restarts: number) => ({ up: true, reason: null, restarts, event_loop_delay_ms: 1 });

const report: ClusterReport = {
  ...{ at: '2026-11-23T00:00:00.000Z', cluster_id: 'c', base_domain: 'orama.test', asked: 'node-1', problems: [] },
  nodes: [
    {
      ...{ node: 'node-1', state: 'active', public_ips: ['192.0.2.1'], reason: null },
      report: {
        ...{ node: 'node-1', at: '', version: '1', controlplane: own(1), gateway: { ...own(2), sessions: 0 }, dns: [] },
        store: { up: true, driver: 'sqlite', role: null, latency_ms: 1, reason: null },
        turn: { ...own(4), up: false, draining: false, held: true, allocations: null, relayed_bps: null },
        port_blocks: { sfu: { free: 3, total: 20 }, turn: { free: 3, total: 20 } },
        namespaces: [
          {
            ...{ namespace: 'demo', sfu_up: true, turn_up: true, sfu: { ...own(8), rooms: 1, peers: 3 } },
            turn: {
              ...{ reason: null, restarts: 16, allocations: 0, relayed_bps: 0 },
              ...{ certificate: null, certificate_reason: null },
            },
          },
        ],
      },
    },
  ],
  namespaces: [
    {
      ...{ namespace: 'demo', state: 'enabled', sfu_up: 1, sfu_wanted: 1, turn_up: 1, turn_wanted: 1, rooms: 1 },
      ...{ dns_agrees: true, peers: 3, relayed_bps: 0, certificate_days: null },
    },
  ],
};

test('restarts of a node are those of its controlplane, gateway and TURN server, of a namespace those of its units', () => {
  const rows = describeReport(output, report).split('\n');
  expect(rows.find((row) => row.startsWith('node-1'))).toMatch(/ drained .* 7 +3 sfu, 3 turn/);
  expect(rows.find((row) => /^demo +node-1/.test(row))).toMatch(/ 24$/);
});
