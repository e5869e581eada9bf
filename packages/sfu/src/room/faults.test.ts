import { VirtualClock } from '@orama/core';
import { SIGNALLING_CLOSE } from '@orama/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Publication } from '../media/publication.ts';
import { HttpSession } from '../signalling/http-session.ts';
import { browserOffer } from '../testing/browser-offer.ts';
import { type RunningSfu, startSfu } from '../testing/running-sfu.ts';
import { TestPeer, until } from '../testing/test-peer.ts';
import { RoomVoices } from './room-voices.ts';

let sfu: RunningSfu;
let clock: VirtualClock;
beforeEach(async () => {
  clock = new VirtualClock(Date.now());
  sfu = await startSfu({ drainTimeoutMs: 1 }, clock);
});
afterEach(async () => {
  vi.restoreAllMocks();
  const stopped = sfu.sfu.stop();
  clock.advance(1_000);
  await stopped;
});

const fault = () => {
  throw new Error('a fault of ours');
};
async function isServed(peer: TestPeer): Promise<void> {
  peer.send({ type: 'ping', id: 'still here' });
  await peer.next('pong', ({ id }) => id === 'still here');
}

test('a fault with one subscriber while a publisher leaves ends that subscriber; all others are told, and the publisher is closed', async () => {
  const [publisher, first, second] = [await TestPeer.join(sfu), await TestPeer.join(sfu), await TestPeer.join(sfu)];
  await publisher.publish({ mid: '0', kind: 'video', ssrc: 1_000_001 });
  for (const viewer of [first, second]) await viewer.trackOf(publisher.id, 'video');
  vi.spyOn(Publication.prototype, 'removeSink').mockImplementationOnce(fault);
  publisher.send({ type: 'leave' });
  expect((await until('the end of the publisher', () => publisher.closed)).code).toBe(SIGNALLING_CLOSE.normal);
  expect((await until('the end of one', () => first.closed)).code).toBe(SIGNALLING_CLOSE.protocolError);
  for (const { id } of [publisher, first]) await second.next('peer-left', ({ peerId }) => peerId === id);
  await isServed(second);
  clock.advance(2_000);
  expect((await sfu.http('GET', '/metrics')).body).toMatch(/^orama_sfu_media_ports_used\S* 1$/m);
  await Promise.all([publisher, first, second].map((peer) => peer.end()));
});

test('a fault in the work of a room ends that room, whose clients come back, and no other', async () => {
  const [here, elsewhere] = [await TestPeer.join(sfu), await TestPeer.join(sfu, { room: 'other' })];
  vi.spyOn(RoomVoices.prototype, 'tick').mockImplementationOnce(fault);
  clock.advance(50);
  expect((await until('the end of the room', () => here.closed)).code).toBe(SIGNALLING_CLOSE.moved);
  await isServed(elsewhere);
  const again = await TestPeer.join(sfu);
  await isServed(again);
  await Promise.all([here, elsewhere, again].map((peer) => peer.end()));
});

test('a fault in a timer that belongs to no peer ends nobody', async () => {
  const peer = await TestPeer.join(sfu);
  const permissions = { publish: true, subscribe: false, data: false, admin: false };
  const ticket = { ns: 'demo', room: 'lobby', identity: 'k', permissions, maxParticipants: 5, maxSpeakers: null };
  const offer = browserOffer([{ kind: 'audio', mid: '0', ssrc: 5 }]);
  const opened = await sfu.http('POST', '/sessions/open', { ticket, offer });
  const { session } = opened.body as { session: string };
  const failed = vi.spyOn(HttpSession.prototype, 'leave').mockImplementationOnce(fault);
  // Its media is not connected in time.
  for (let i = 0; i < 4; i++) {
    clock.advance(9_000);
    peer.send({ type: 'ping', id: i });
    await peer.next('pong', ({ id }) => id === i);
  }
  expect(failed).toHaveBeenCalled();
  await isServed(peer);
  const closed = await sfu.http('POST', '/sessions/close', { room: 'lobby', identity: 'k', session });
  expect(closed.status).toBe(200);
  await peer.end();
});
