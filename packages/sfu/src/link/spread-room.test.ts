import type { RoomHome, SfuTicket } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningSfu, startSfu } from '../testing/running-sfu.ts';
import { TestPeer, until, VP8_DELTA, VP8_KEY } from '../testing/test-peer.ts';

const CAMERA = { mid: '0', kind: 'video', ssrc: 1_000_001, source: 'camera' } as const;
const MICROPHONE = { mid: '1', kind: 'audio', ssrc: 1_000_002, source: 'microphone' } as const;

async function metric(sfu: RunningSfu, name: string): Promise<number> {
  const { body } = await sfu.http('GET', '/metrics');
  return Number(new RegExp(`^orama_sfu_${name}\\S* (\\d+)`, 'm').exec(body as string)?.[1]);
}

describe('a room that several SFUs serve', () => {
  let sfus: RunningSfu[];
  let peers: TestPeer[] = [];
  let home: RoomHome;

  /** Joins at one of the SFUs; the first is the room's home. */
  const join = async (at: number, name: string, ticket: Partial<SfuTicket> = {}) => {
    const peer = await TestPeer.join(sfus[at] as RunningSfu, { home, ...ticket }, { name });
    peers.push(peer);
    return peer;
  };
  const idsSeenBy = ({ welcome, frames }: TestPeer) => {
    const ids = new Set(welcome.participants.map(({ peerId }) => peerId));
    for (const frame of frames) {
      if (frame.type === 'peer-joined') ids.add(frame.peerId);
      if (frame.type === 'peer-left') ids.delete(frame.peerId);
    }
    return [...ids].sort();
  };
  /** Answers every request with a key frame until all subscribers have pictures. @returns how many packets that took */
  const startVideo = async (publisher: TestPeer, subscribers: { peer: TestPeer; video: string }[]) => {
    let sent = 0;
    await until('pictures everywhere', () => {
      const asked = publisher.rtcp('0', 'pli').length;
      if (asked > sent) publisher.sendPacket('0', sent++, { payload: VP8_KEY });
      return subscribers.every(({ peer, video }) => peer.packets(video).length > 0);
    });
    return sent;
  };

  beforeEach(async () => {
    sfus = await Promise.all(['node-1', 'node-2', 'node-3'].map((node) => startSfu({ node })));
    home = { node: 'node-1', address: sfus[0]?.address ?? '', signalingPort: 30_000, generation: 1 };
  });
  afterEach(async () => {
    for (const peer of peers) expect(peer.faults).toEqual([]);
    await Promise.all(peers.map((peer) => peer.end()));
    peers = [];
    await Promise.all(sfus.map(({ sfu }) => sfu.stop()));
  });

  test('everybody sees everybody, wherever they are connected, until they leave', async () => {
    const [ann, bob, cem] = [await join(0, 'Ann'), await join(1, 'Bob'), await join(2, 'Cem')];
    expect(bob.welcome.participants).toMatchObject([{ peerId: ann.id, name: 'Ann' }]);
    expect(cem.welcome.participants.map(({ name }) => name).sort()).toEqual(['Ann', 'Bob']);
    const ids = [ann, bob, cem].map(({ id }) => id);
    for (const peer of [ann, bob, cem])
      await until(
        'the others',
        () =>
          idsSeenBy(peer).join() ===
          ids
            .filter((id) => id !== peer.id)
            .sort()
            .join(),
      );
    await bob.end();
    for (const peer of [ann, cem])
      await peer.next('peer-left', ({ peerId, reason }) => peerId === bob.id && reason === 'left');
  });

  test('sound and picture of any SFU reach subscribers at any other, one copy on each link', async () => {
    const [ann, bob, cem] = [await join(0, 'Ann'), await join(1, 'Bob'), await join(2, 'Cem')];
    const dan = await join(2, 'Dan');
    await bob.publish(CAMERA, MICROPHONE);
    const all = [ann, cem, dan];
    const tracks = await Promise.all(
      all.map(async (peer) => ({
        peer,
        video: (await peer.trackOf(bob.id, 'video')).mid,
        audio: (await peer.trackOf(bob.id, 'audio')).mid,
      })),
    );
    const begun = await startVideo(bob, tracks);
    const before = await Promise.all(sfus.map((sfu) => metric(sfu, 'packets_in_total')));
    const count = 20;
    const picture = (i: number) => Buffer.concat([VP8_DELTA, Buffer.from(`picture ${i}`)]);
    for (let i = 0; i < count; i++) {
      bob.sendPacket('0', begun + i, { payload: picture(i) });
      bob.sendPacket('1', i, { payload: Buffer.from(`voice ${i}`) });
    }
    for (const { peer, video, audio } of tracks)
      for (const [mid, text] of [
        [video, 'picture'],
        [audio, 'voice'],
      ] as const) {
        const received = () => peer.packets(mid).flatMap(({ payload }) => /[a-z]+ \d+$/.exec(payload.toString()) ?? []);
        await until(`every ${text}`, () => received().length === count);
        expect(received()).toEqual(Array.from({ length: count }, (_, i) => `${text} ${i}`));
      }
    const after = await Promise.all(sfus.map((sfu) => metric(sfu, 'packets_in_total')));
    for (const [i, value] of after.entries()) {
      const received = value - (before[i] ?? 0);
      expect(received).toBeGreaterThanOrEqual(count * 2);
      // Key frames of the beginning may still have been on their way.
      expect(received).toBeLessThanOrEqual(count * 2 + begun);
    }
  });
});
