import { type Clock, VirtualClock } from '@orama/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { apiKeyOf, Bed, type RunningGateway } from '../../testing/bed.ts';
import { TestClient } from '../../testing/client.ts';

const LOOK_MS = 1_000;
let bed: Bed;
let clock: VirtualClock;
let heldUpMs: number;
let gateway: RunningGateway;

beforeEach(async () => {
  [clock, heldUpMs] = [new VirtualClock(Date.now()), 0];
  bed = await Bed.open(['demo']);
  const late: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic() + heldUpMs,
    after: (ms, run) => clock.after(ms, run),
    every: (ms, run) => clock.every(ms, run),
  };
  gateway = await bed.startGateway({ clock: late });
});
afterEach(() => bed.close());

async function joined() {
  const client = new TestClient(gateway, { query: { room: 'r', api_key: apiKeyOf('demo') } });
  const { node } = await client.frame(0);
  return { client, sfu: bed.sfuOn('demo', node) };
}

/** Lets the gateway ask so many times; each question is known to be there before the next. */
async function look(sfu: { healthAsked: number }, times: number): Promise<void> {
  const end = sfu.healthAsked + times;
  const next = () => {
    if (sfu.healthAsked < end) clock.advance(LOOK_MS);
    return sfu.healthAsked;
  };
  await expect.poll(next, { interval: 100, timeout: 15_000 }).toBe(end);
}

test('who is on an SFU that answers nothing any more, while its connections stay, is sent elsewhere, where the room goes', async () => {
  const { client, sfu } = await joined();
  await look(sfu, 2);
  sfu.isHanging = true;
  await look(sfu, 5);
  expect((await client.closed).code).toBe(4013);
  const back = await joined();
  expect(back.sfu).not.toBe(sfu);
  expect(await bed.store.rooms.get('demo', 'r')).toMatchObject({ generation: 2, place: { nodeId: back.sfu.node } });
});

test('an answer within five questions keeps everybody, and so does a gateway that was held up itself', async () => {
  const { client, sfu } = await joined();
  sfu.isHanging = true;
  await look(sfu, 4);
  sfu.isHanging = false;
  await look(sfu, 1);
  sfu.isHanging = true;
  await look(sfu, 4);
  heldUpMs = 10 * LOOK_MS;
  await look(sfu, 2);
  expect(client.socket.readyState).toBe(client.socket.OPEN);
});
