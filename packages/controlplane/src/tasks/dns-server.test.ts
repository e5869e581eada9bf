import { silentLogger } from '@orama/core/logger';
import { expect, test } from 'vitest';
import { DnsListenTask } from './dns-server.ts';

test('DnsListenTask tells why the server does not listen, tries again, and tells when it does', async () => {
  let fault: Error | null = new Error('dns.listen.0: UDP port 53 is in use');
  let changes = 0;
  const start = async () => {
    if (fault) throw fault;
    return [];
  };
  const task = new DnsListenTask({ start }, silentLogger, () => void changes++);
  expect(await task.report()).toBeGreaterThan(0);
  await task.report();
  expect(task.status).toEqual({ service: 'dns', healthy: false, reason: fault.message });
  expect(changes).toBe(1);
  fault = null;
  expect(await task.report()).toBeNull();
  expect([task.status, changes]).toEqual([{ service: 'dns', healthy: true }, 2]);
});
