import type { ServerFrameOf } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningSfu, startSfu } from '../testing/running-sfu.ts';
import { TestPeer, until } from '../testing/test-peer.ts';

const SPEECH = 25;
const SILENCE = 127;

describe('voices of a room', () => {
  let sfu: RunningSfu;
  let peers: TestPeer[] = [];
  const sequences = new Map<TestPeer, number>();
  const join = async (maxSpeakers: number | null = null) => {
    const peer = await TestPeer.join(sfu, { maxSpeakers });
    peers.push(peer);
    return peer;
  };
  const publisher = async (maxSpeakers: number | null = null) => {
    const peer = await join(maxSpeakers);
    await peer.publish({ mid: '0', kind: 'audio', ssrc: 1_000_000 + peers.length });
    return peer;
  };
  /** Lets people send audio of a level each until a condition holds. */
  const whileSending = <T>(levels: [TestPeer, number][], what: string, check: () => T | undefined | false) =>
    until(what, () => {
      for (const [peer, audioLevel] of levels) {
        const sequence = sequences.get(peer) ?? 0;
        sequences.set(peer, sequence + 1);
        peer.sendPacket('0', sequence, { audioLevel, payload: Buffer.from([audioLevel]) });
      }
      return check();
    });
  const lastSpeakers = (peer: TestPeer) =>
    peer.frames
      .findLast((frame): frame is ServerFrameOf<'active-speakers'> => frame.type === 'active-speakers')
      ?.speakers.map(({ peerId }) => peerId);
  const lastDelivery = (peer: TestPeer, trackId: string) =>
    peer.frames.findLast(
      (frame): frame is ServerFrameOf<'track-updated'> =>
        frame.type === 'track-updated' && frame.trackId === trackId && frame.delivery !== undefined,
    )?.delivery;

  beforeEach(async () => {
    sfu = await startSfu();
  });
  afterEach(async () => {
    for (const peer of peers) expect(peer.faults).toEqual([]);
    await Promise.all(peers.map((peer) => peer.end()));
    peers = [];
    await sfu.sfu.stop();
  });

  test('everybody is told who speaks, loudest first, when that changes, and so is who comes later', async () => {
    const [viewer, ann, bob] = [await join(), await publisher(), await publisher()];
    const { trackId } = await viewer.trackOf(ann.id, 'audio');
    await whileSending(
      [
        [ann, SPEECH],
        [bob, SILENCE],
      ],
      'Ann',
      () => lastSpeakers(viewer)?.[0] === ann.id,
    );
    const frame = await viewer.next('active-speakers');
    expect(frame.speakers).toEqual([{ peerId: ann.id, trackId, level: expect.any(Number) }]);
    expect(frame.speakers[0]?.level).toBeGreaterThan(0.2);
    await whileSending(
      [
        [ann, 40],
        [bob, 5],
      ],
      'Bob first',
      () => lastSpeakers(viewer)?.join() === [bob.id, ann.id].join(),
    );
    const late = await join();
    await late.next('active-speakers');
    await whileSending(
      [
        [ann, SILENCE],
        [bob, SILENCE],
      ],
      'silence',
      () => lastSpeakers(viewer)?.length === 0,
    );
  });

  test('a speaker whose track ends, or who leaves, is out of it', async () => {
    const [viewer, ann] = [await join(), await publisher()];
    await whileSending([[ann, SPEECH]], 'Ann', () => lastSpeakers(viewer)?.length === 1);
    await ann.end();
    await until('nobody', () => lastSpeakers(viewer)?.length === 0);
  });

  test('with one speaker at a time only the loudest is forwarded, and each subscriber is told of the others', async () => {
    const viewer = await join(1);
    const [ann, bob] = [await publisher(1), await publisher(1)];
    const [fromAnn, fromBob] = [await viewer.trackOf(ann.id, 'audio'), await viewer.trackOf(bob.id, 'audio')];
    await whileSending(
      [
        [ann, SPEECH],
        [bob, SILENCE],
      ],
      'Ann',
      () => viewer.packets(fromAnn.mid).length > 5,
    );
    await until('Bob to be held back', () => lastDelivery(viewer, fromBob.trackId) === 'not-a-speaker');
    expect(viewer.packets(fromBob.mid)).toEqual([]);
    await whileSending(
      [
        [ann, SILENCE],
        [bob, SPEECH],
      ],
      'Bob to have the seat',
      () => lastDelivery(viewer, fromBob.trackId) === 'flowing' && viewer.packets(fromBob.mid).length > 5,
    );
    expect(lastDelivery(viewer, fromAnn.trackId)).toBe('not-a-speaker');
    const before = viewer.packets(fromAnn.mid).length;
    await whileSending(
      [
        [ann, SILENCE],
        [bob, SPEECH],
      ],
      'more of Bob',
      () => viewer.packets(fromBob.mid).length > 20,
    );
    expect(viewer.packets(fromAnn.mid).length).toBe(before);
    await bob.end();
    await whileSending([[ann, SILENCE]], 'Ann to have it back', () => viewer.packets(fromAnn.mid).length > before);
    const sequences = viewer.packets(fromAnn.mid).map(({ sequence }) => sequence);
    expect(sequences.slice(1).every((sequence, i) => ((sequence - (sequences[i] as number)) & 0xffff) === 1)).toBe(
      true,
    );
  });
});
