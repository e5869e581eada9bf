import { VirtualClock } from '@orama/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bed } from '../../testing/bed.ts';
import { SfuStandIn } from '../../testing/sfu-stand-in.ts';
import { type Caller, RoomPlacer } from './room-placer.ts';
import { SfuClient } from './sfu-client.ts';

const NONE: Caller = { failed: new Set() };

describe('RoomPlacer', () => {
  let bed: Bed;
  let clock: VirtualClock;
  let placer: RoomPlacer;

  beforeEach(async () => {
    bed = await Bed.open(['demo']);
    clock = new VirtualClock(Date.now());
    const { rooms, ports, nodes } = bed.store;
    placer = new RoomPlacer({ rooms, ports, nodes, client: new SfuClient(clock), clock });
  });
  afterEach(() => bed.close());

  it('place() refuses when WebRTC is being disabled, and writes nothing', async () => {
    await bed.store.db.batch([bed.store.webrtc.markDisabling('demo', 1, clock.now())]);
    await expect(placer.place('demo', 'r', NONE)).rejects.toMatchObject({ code: 'WEBRTC_NOT_ENABLED' });
    expect(await bed.store.rooms.listOf('demo')).toEqual([]);
  });

  it('place() is null when every SFU has failed the caller or drains', async () => {
    const [first, ...others] = bed.sfus('demo');
    for (const sfu of others) sfu.status = 'draining';
    expect(await placer.place('demo', 'r', { failed: new Set([first?.node ?? '']) })).toBeNull();
    expect(await bed.store.rooms.listOf('demo')).toEqual([]);
  });

  it('place() takes an SFU of another namespace on a reused port for none', async () => {
    const [first] = bed.sfus('demo');
    if (!first) throw new Error('no SFU');
    await first.kill();
    const { node, address, port } = first;
    const foreign = new SfuStandIn({ node, address, port, namespace: 'late', secret: 'of another namespace' });
    await foreign.start();
    for (let n = 0; n < 20; n++) {
      const placed = await placer.place('demo', `r${n}`, NONE);
      expect(placed?.sfu.nodeId).not.toBe('node-1');
    }
    await foreign.kill();
  });

  it('place() keeps a room on an SFU that failed one caller but is healthy', async () => {
    const placed = await placer.place('demo', 'r', NONE);
    if (!placed) throw new Error('not placed');
    placer.suspect(placed.sfu);
    const again = await placer.place('demo', 'r', NONE);
    expect([again?.sfu, again?.row.generation]).toEqual([placed.sfu, 1]);
  });

  it('place() moves a room off an SFU that drains, or that is not there, before anybody dials it', async () => {
    const placed = await placer.place('demo', 'r', NONE);
    if (!placed) throw new Error('not placed');
    bed.sfuOn('demo', placed.sfu.nodeId).status = 'draining';
    clock.advance(500);
    const moved = await placer.place('demo', 'r', NONE);
    expect(moved?.row.generation).toBe(2);
    await bed.sfuOn('demo', moved?.sfu.nodeId).kill();
    clock.advance(500);
    const again = await placer.place('demo', 'r', NONE);
    expect(again?.row.generation).toBe(3);
    expect(new Set([placed, moved, again].map((each) => each?.sfu.nodeId)).size).toBe(3);
  });

  it('place() opens no room on a busy SFU, and moves none away from it', async () => {
    const placed = await placer.place('demo', 'r', NONE);
    if (!placed) throw new Error('not placed');
    bed.sfuOn('demo', placed.sfu.nodeId).status = 'busy';
    clock.advance(500);
    for (let n = 0; n < 9; n++) {
      const other = await placer.place('demo', `r${n}`, NONE);
      expect(other?.sfu.nodeId).not.toBe(placed.sfu.nodeId);
    }
    expect((await placer.place('demo', 'r', NONE))?.row.generation).toBe(1);
  });

  it('place() moves a room off an SFU that only keeps silent once it has failed somebody', async () => {
    const placed = await placer.place('demo', 'r', NONE);
    if (!placed) throw new Error('not placed');
    bed.sfuOn('demo', placed.sfu.nodeId).isHanging = true;
    clock.advance(500);
    expect((await placer.place('demo', 'r', NONE))?.row.generation).toBe(1);
    placer.suspect(placed.sfu);
    const again = await placer.place('demo', 'r', NONE);
    expect(again?.row.generation).toBe(2);
    expect(again?.sfu.nodeId).not.toBe(placed.sfu.nodeId);
  });

  it('place() moves a room off an SFU that keeps silent on a node that is unreachable', async () => {
    const placed = await placer.place('demo', 'r', NONE);
    if (!placed) throw new Error('not placed');
    const { nodeId } = placed.sfu;
    await bed.store.db.batch([bed.store.nodes.setReachable({ id: nodeId, beats: 0 }, false, 0)]);
    clock.advance(500);
    // It answers, so that it is only its controlplane that is away.
    expect((await placer.place('demo', 'r', NONE))?.row.generation).toBe(1);
    bed.sfuOn('demo', nodeId).isHanging = true;
    clock.advance(500);
    const again = await placer.place('demo', 'r', NONE);
    expect(again?.row.generation).toBe(2);
    expect(again?.sfu.nodeId).not.toBe(nodeId);
  });

  it('place() spreads a room that is told to: the SFU with the fewest peers serves, that of the row holds it', async () => {
    const settings = { maxParticipants: 100, maxSpeakers: null, spread: true, metadata: null };
    await bed.store.rooms.create({ namespace: 'demo', roomId: 'wide', ...settings, nowMs: clock.now() });
    const place = async (caller: Caller = NONE) => {
      const placed = await placer.place('demo', 'wide', caller);
      if (!placed) throw new Error('not placed');
      return placed;
    };
    const { home, sfu } = await place();
    expect(sfu).toBe(home);
    bed.sfuOn('demo', home.nodeId).peers = 3;
    clock.advance(500);
    const second = await place();
    expect(second.home).toEqual(home);
    expect(second.sfu.nodeId).not.toBe(home.nodeId);
    expect(await place({ ...NONE, known: async () => home.nodeId })).toMatchObject({ sfu: home });
    expect(await place({ ...NONE, known: async () => '' })).toMatchObject({ sfu: home });
    expect(await place({ ...NONE, atHome: true })).toMatchObject({ sfu: home });
    const third = await place({ failed: new Set([second.sfu.nodeId]) });
    expect([home.nodeId, second.sfu.nodeId]).not.toContain(third.sfu.nodeId);
    expect(third.row.generation).toBe(second.row.generation);
  });

  it('place() sends who comes to a busy home elsewhere, unless they resume there or nobody else takes them', async () => {
    const { home } = (await placer.place('demo', 'r', NONE)) ?? {};
    if (!home) throw new Error('not placed');
    bed.sfuOn('demo', home.nodeId).status = 'busy';
    clock.advance(500);
    const placed = await placer.place('demo', 'r', NONE);
    expect(placed).toMatchObject({ home, row: { generation: 1 } });
    expect(placed?.sfu.nodeId).not.toBe(home.nodeId);
    expect(await placer.place('demo', 'r', { ...NONE, known: async () => '' })).toMatchObject({ sfu: home });
    for (const sfu of bed.sfus('demo')) if (sfu.node !== home.nodeId) sfu.status = 'draining';
    clock.advance(500);
    expect(await placer.place('demo', 'r', NONE)).toMatchObject({ sfu: home });
  });

  it('place() sends who comes to a room whose home had no place for somebody elsewhere, for a while, and no other room', async () => {
    const placed = await placer.place('demo', 'r', NONE);
    if (!placed) throw new Error('not placed');
    const { home } = placed;
    placer.noteFull(placed);
    const second = await placer.place('demo', 'r', NONE);
    expect(second).toMatchObject({ home, row: { generation: 1 } });
    expect(second?.sfu.nodeId).not.toBe(home.nodeId);
    if (second) placer.noteFull(second);
    const third = await placer.place('demo', 'r', NONE);
    expect(new Set([home, second?.sfu, third?.sfu].map((sfu) => sfu?.nodeId)).size).toBe(3);
    expect(await placer.place('demo', 'r', { ...NONE, known: async () => '' })).toMatchObject({ sfu: home });
    await bed.store.rooms.claim({
      ...{ namespace: 'demo', roomId: 'other', seenGeneration: null, nowMs: clock.now() },
      place: { nodeId: home.nodeId, internalIp: home.address, signalingPort: home.port },
    });
    expect(await placer.place('demo', 'other', NONE)).toMatchObject({ sfu: { nodeId: home.nodeId } });
    clock.advance(10_000);
    expect(await placer.place('demo', 'r', NONE)).toMatchObject({ sfu: home });
  });

  it('place() notes the visit, so that the room is not removed as idle', async () => {
    const placed = await placer.place('demo', 'r', NONE);
    if (!placed) throw new Error('not placed');
    await placer.place('demo', 'r', NONE);
    await bed.store.db.batch([bed.store.rooms.removeIdle(placed.row)]);
    expect(await bed.store.rooms.get('demo', 'r')).not.toBeNull();
  });
});
