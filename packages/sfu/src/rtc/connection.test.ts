import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import { until } from '../testing/test-peer.ts';
import { RtcConnection, type RtcEvents } from './connection.ts';
import { PortBudget } from './port-budget.ts';

const VIDEO = { mid: '0', kind: 'video' as const, ssrcs: [5], cname: 'c', streamId: 's', trackId: 't' };
const create = (events: Partial<RtcEvents> = {}) =>
  new RtcConnection({ name: 'test', address: '127.82.252.1' }, { onFault: () => {}, ...events });

/** Two connections, negotiated; resolves when packets can be sent. */
async function connect(events: Partial<RtcEvents> = {}) {
  const caller = create();
  const callee = create(events);
  const track = caller.sendTrack({ ...VIDEO, codec: { name: 'VP8', payloadType: 96 } });
  callee.setRemote('offer', caller.createLocal('offer'));
  caller.setRemote('answer', callee.createLocal('answer'));
  for (const { candidate, mid } of caller.localCandidates()) callee.addCandidate(candidate, mid);
  await until('the track to open', () => track.isOpen);
  return { caller, callee, track };
}

const packet = Buffer.from([0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3]);

test('RtcConnection: a handler that throws is a fault of that connection, not the end of the process', async () => {
  const faults: unknown[] = [];
  const fault = new Error('from a packet handler');
  const { caller, callee, track } = await connect({
    onTrack: (incoming) => {
      incoming.onPacket = () => {
        throw fault;
      };
    },
    onFault: (thrown) => faults.push(thrown),
  });
  track.send(packet);
  await until('the fault', () => faults.length > 0);
  expect(faults).toEqual([fault]);
  caller.close();
  callee.close();
});

test('RtcConnection: nothing calls back after close, which may be called twice; everything else throws or does nothing', async () => {
  const states: string[] = [];
  const { caller, callee, track } = await connect({ onState: (state) => states.push(state) });
  const before = states.length;
  callee.close();
  callee.close();
  caller.close();
  expect(track.send(packet)).toBe(false);
  expect(() => caller.createLocal('offer')).toThrow('closed');
  expect(() => caller.setRemote('offer', '')).toThrow('closed');
  expect(() => caller.addCandidate('candidate:1', '0')).toThrow('closed');
  expect(caller.selectedPair()).toBeNull();
  caller.rollback();
  // Another connection's whole life passes meanwhile: what was to come has come.
  const other = await connect();
  other.caller.close();
  other.callee.close();
  expect(states.length).toBe(before);
});

test('RtcConnection: a description asked for in the wrong state throws instead of ending the process', () => {
  const connection = create();
  expect(() => connection.createLocal('answer')).toThrow(/no answer is possible in state stable/);
  connection.sendTrack({ ...VIDEO, codec: { name: 'VP8', payloadType: 96 } });
  connection.createLocal('offer');
  expect(() => connection.createLocal('offer')).toThrow(/no offer is possible/);
  expect(() => connection.setRemote('answer', 'v=0\r\n')).toThrow();
  connection.rollback();
  expect(connection.isStable).toBe(true);
  connection.close();
});

test('RtcConnection: the first offer carries no candidate, they are had apart', () => {
  const connection = create();
  connection.sendTrack({ ...VIDEO, codec: { name: 'VP8', payloadType: 96 } });
  expect(connection.createLocal('offer')).not.toContain('candidate');
  expect(connection.localCandidates()).toMatchObject([
    { mid: '0', candidate: expect.stringContaining('127.82.252.1') },
  ]);
  connection.close();
});

test('RtcConnection: closed connections are collected with all that their handlers hold', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const held: WeakRef<object>[] = [];
  for (let i = 0; i < 3; i++) {
    const onFault = () => void i;
    const { caller, callee, track } = await connect({ onFault });
    held.push(new WeakRef(onFault), new WeakRef(callee), new WeakRef(track));
    caller.close();
    callee.close();
  }
  await until('the collector', () => {
    collect();
    // The last round may still stand on the stack.
    return held.slice(0, 6).every((reference) => reference.deref() === undefined);
  });
});

test('PortBudget keeps the last ports back, and takes a port back a moment after its release', () => {
  const clock = new VirtualClock();
  const budget = new PortBudget(20_000, 20_019, clock);
  expect(budget.capacity).toBe(17);
  const releases = Array.from({ length: 17 }, () => budget.take());
  expect(releases.every((release) => release !== null)).toBe(true);
  expect(budget.take()).toBeNull();
  releases[0]?.();
  releases[0]?.();
  expect(budget.take()).toBeNull();
  clock.advance(2_000);
  expect([budget.used, budget.isFull]).toEqual([16, false]);
  expect(budget.take()).not.toBeNull();
  expect([budget.take(), budget.isFull]).toEqual([null, true]);
});

test('PortBudget has a port for a link to another SFU where peers find none any more, and one is still kept back', () => {
  const budget = new PortBudget(20_000, 20_019, new VirtualClock());
  while (!budget.isFull) budget.take();
  expect(budget.takeForLink()).not.toBeNull();
  expect([budget.takeForLink(), budget.take(), budget.used]).toEqual([null, null, 18]);
});
