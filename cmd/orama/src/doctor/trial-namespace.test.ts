import { hostname } from 'node:os';
import type { ControlplaneClient } from '@orama/controlplane/client';
import { expect, test } from 'vitest';
import { withTrialNamespace } from './trial-namespace.ts';

/** What a doctor does to a cluster that has the namespace already. */
async function doneTo(owner: string, ageMs: number): Promise<{ calls: string[]; fault: unknown }> {
  const calls: string[] = [];
  const createdAt = new Date(Date.now() - ageMs).toISOString();
  const client = {
    namespaces: async () => [{ name: 'orama-doctor', owner, createdAt }],
    disableWebrtc: async () => calls.push('disable') && {},
    deleteNamespace: async () => void calls.push('delete'),
    createNamespace: async () => Promise.reject(new Error('far enough')),
  } as unknown as ControlplaneClient;
  const fault = await withTrialNamespace(client, new AbortController().signal, async () => {}).catch(
    (thrown) => thrown,
  );
  return { calls, fault };
}

test('a namespace of the doctor’s name that somebody else made is left alone, however old it is', async () => {
  for (const owner of ['operator', 'token:anna', 'doctor who']) {
    const { calls, fault } = await doneTo(owner, 3_600_000);
    expect(calls).toEqual([]);
    expect(fault).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(owner) });
  }
});

test('a doctor of a machine with the same name may be at work; what it left is removed once it is old', async () => {
  const other = `doctor 4000000 1 at ${hostname()} 00000000`;
  expect(await doneTo(other, 1_000)).toMatchObject({ calls: [], fault: { code: 'CONFLICT' } });
  expect((await doneTo(other, 3_600_000)).calls).toEqual(['disable', 'delete']);
});
