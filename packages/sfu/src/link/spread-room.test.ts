import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LinkFrame, RoomHome, SfuRoom, SfuTicket } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NativeTrack } from '../rtc/native-track.ts';
import { LAYERED_CAMERA, layerOf, sendLayers } from '../testing/layered-camera.ts';
import { type ReachableSfu, type RunningSfu, reachSfu, startSfu } from '../testing/running-sfu.ts';
import { TestPeer, until, VP8_DELTA, VP8_KEY } from '../testing/test-peer.ts';

const CAMERA = { mid: '0', kind: 'video', ssrc: 1_000_001, source: 'camera' } as const;
const MICROPHONE = { mid: '1', kind: 'audio', ssrc: 1_000_002, source: 'microphone' } as const;

const SFU_PROCESS = fileURLToPath(new URL('../testing/sfu-process.ts', import.meta.url));

async function metric(sfu: RunningSfu, name: string): Promise<number> {
  const { body } = await sfu.http('GET', '/metrics');
  return Number(new RegExp(`^orama_sfu_${name}\\S* (\\d+)`, 'm').exec(body as string)?.[1]);
}

describe('a room that several SFUs serve', () => {
  let sfus: RunningSfu[];
  let peers: TestPeer[] = [];
  let home: RoomHome;
  let stopSending = () => {};

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
    sfus = await Promise.all(['node-1', 'node-2', 'node-3'].map((node) => startSfu({ node, drainTimeoutMs: 300 })));
    home = { node: 'node-1', address: sfus[0]?.address ?? '', signalingPort: 30_000, generation: 1 };
  });
  afterEach(async () => {
    stopSending();
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

  test('a home without a media port left says that it is busy, and others serve who comes', async () => {
    const [first] = sfus;
    await first?.sfu.stop();
    const small = await startSfu({ node: 'node-1', drainTimeoutMs: 300, mediaPortEnd: 20_007 });
    sfus[0] = small;
    home = { ...home, address: small.address };
    // As in a room that is not spread, whose home had room for everybody so far.
    const stay = { home: undefined } as unknown as Partial<SfuTicket>;
    const at = await Promise.all(['Ann', 'Bob', 'Cem', 'Dan', 'Eve'].map((name) => join(0, name, stay)));
    await expect(join(0, 'Flo', stay)).rejects.toThrow('capacity');
    await until(
      'to be busy',
      async () => ((await small.http('GET', '/healthz')).body as { status: string }).status === 'busy',
    );
    const flo = await join(1, 'Flo');
    expect(flo.welcome.participants.map(({ peerId }) => peerId).sort()).toEqual(at.map(({ id }) => id).sort());
    await at[0]?.next('peer-joined', ({ peerId }) => peerId === flo.id);
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

  test('what is lost on a link is asked for again across it: who is behind it misses nothing', async () => {
    const [ann, bob] = [await join(0, 'Ann'), await join(1, 'Bob')];
    await ann.publish(CAMERA, MICROPHONE);
    const video = (await bob.trackOf(ann.id, 'video')).mid;
    const audio = (await bob.trackOf(ann.id, 'audio')).mid;
    const begun = await startVideo(ann, [{ peer: bob, video }]);
    // A packet is sent by Ann, then over the link, then to Bob; every fifth is lost the second time.
    const sendings = new Map<string, number>();
    let lost = 0;
    const { send } = NativeTrack.prototype;
    const wire = vi.spyOn(NativeTrack.prototype, 'send').mockImplementation(function (this: NativeTrack, packet) {
      const [, text = ''] = /((?:picture|voice) \d*[27])$/.exec(packet.toString('latin1')) ?? [];
      sendings.set(text, (sendings.get(text) ?? 0) + 1);
      if (text === '' || sendings.get(text) !== 2) return send.call(this, packet);
      lost++;
      return true;
    });
    const count = 20;
    try {
      for (let i = 0; i < count; i++) {
        ann.sendPacket('0', begun + i, { payload: Buffer.concat([VP8_DELTA, Buffer.from(`picture ${i}`)]) });
        ann.sendPacket('1', i, { payload: Buffer.from(`voice ${i}`) });
      }
      for (const [mid, text] of [
        [video, 'picture'],
        [audio, 'voice'],
      ] as const) {
        const received = () =>
          new Set(
            bob
              .packets(mid)
              .flatMap(({ payload }) => /\d+$/.exec(payload.toString()) ?? [])
              .map(Number),
          );
        await until(`every ${text}`, () => received().size === count);
      }
    } finally {
      wire.mockRestore();
    }
    expect(lost).toBe(8);
  });

  test('layers cross a link only while somebody watches them there, and are off at the publisher while nobody does', async () => {
    const [bob, cem] = [await join(1, 'Bob'), await join(2, 'Cem')];
    await bob.publish(LAYERED_CAMERA);
    stopSending = sendLayers(bob);
    const { mid, trackId, layers } = await cem.trackOf(bob.id, 'video');
    expect(layers?.map(({ rid }) => rid)).toEqual(['q', 'h', 'f']);
    await until('the best layer', () => layerOf(cem.packets(mid).at(-1)) === 2);
    await bob.next('send-layers', ({ rids }) => rids.join() === 'q,f');
    cem.send({ type: 'subscribe', trackId, enabled: false });
    await bob.next('send-layers', ({ rids }) => rids.length === 0);
    const before = cem.packets(mid).length;
    cem.send({ type: 'subscribe', trackId, enabled: true });
    await until('the best layer again', () => layerOf(cem.packets(mid).slice(before).at(-1)) === 2);
    stopSending();
    const numbers = cem.packets(mid).map(({ sequence }) => sequence);
    for (let i = 1; i < numbers.length; i++) expect(((numbers[i] ?? 0) - (numbers[i - 1] ?? 0)) & 0xffff).toBe(1);
  }, 30_000);

  test('a publisher is asked for a codec that everybody decodes, also at other SFUs, and changes to it', async () => {
    const [ann, bob] = [await join(0, 'Ann'), await join(1, 'Bob')];
    bob.refusedCodecs = ['AV1'];
    const [av1, vp8] = [
      { name: 'AV1', payloadType: 45 },
      { name: 'VP8', payloadType: 96 },
    ];
    await ann.publish({ mid: '0', kind: 'video', ssrc: 7_000_001, codec: av1, otherCodecs: [vp8] });
    const { trackId, mid } = await bob.trackOf(ann.id, 'video');
    await bob.next('track-updated', ({ delivery }) => delivery === 'unsupported-codec');
    const { sdp } = await ann.next('offer', (frame) => frame.sdp.includes(' 96 45'));
    expect(sdp).toContain('VP8/90000');
    ann.sendPacket('0', 1, { payload: Buffer.from([0x18, 1, 2, 3]) });
    let sequence = 2;
    const again = await until('the track in VP8', () => {
      ann.sendPacket('0', sequence++, { payloadType: vp8.payloadType, payload: VP8_KEY });
      return bob.frames.find((frame) => frame.type === 'track-added' && frame.trackId === trackId && frame.mid !== mid);
    });
    await until('the picture', () => {
      ann.sendPacket('0', sequence++, { payloadType: vp8.payloadType, payload: VP8_KEY });
      return again.type === 'track-added' && bob.packets(again.mid).length > 0;
    });
  });

  test('names, metadata, data and mutes are told at every SFU; the home mutes and removes whoever is elsewhere', async () => {
    const [ann, bob, cem] = [await join(0, 'Ann'), await join(1, 'Bob'), await join(2, 'Cem', { identity: 'key-cem' })];
    await until('Bob to see Cem', () => idsSeenBy(bob).includes(cem.id));
    bob.send({ type: 'peer-state', name: 'Robert', metadata: { hand: 'raised' } });
    bob.send({ type: 'data', data: 'to all' });
    bob.send({ type: 'data', to: cem.id, data: 'to Cem' });
    for (const peer of [ann, cem]) {
      await peer.next('peer-updated', ({ peerId, name }) => peerId === bob.id && name === 'Robert');
      await peer.next('data', ({ from, data }) => from === bob.id && data === 'to all');
    }
    await cem.next('data', ({ to, data }) => to === cem.id && data === 'to Cem');
    expect(ann.frames.filter(({ type }) => type === 'data')).toHaveLength(1);

    await bob.publish(MICROPHONE);
    const { trackId } = await cem.trackOf(bob.id, 'audio');
    bob.send({ type: 'track-state', trackId, muted: true });
    await cem.next('track-updated', (frame) => frame.trackId === trackId && frame.muted && !frame.forced);
    bob.send({ type: 'track-state', trackId, muted: false });
    await cem.next('track-updated', (frame) => frame.trackId === trackId && !frame.muted);
    const [first] = sfus as [RunningSfu];
    await until('the track at the home', async () => {
      const { body } = await first.http('POST', '/rooms/mute', { room: 'lobby', peerId: bob.id, muted: true });
      return (body as { affected?: number }).affected === 1;
    });
    await bob.next('track-updated', ({ forced }) => forced === true);
    await cem.next('track-updated', ({ forced }) => forced === true);

    const { body } = await first.http('GET', '/rooms');
    const [room] = (body as { rooms: SfuRoom[] }).rooms;
    expect(room?.participants.map(({ name, node }) => `${name} ${node}`).sort()).toEqual([
      ...['Ann node-1', 'Cem node-3', 'Robert node-2'],
    ]);
    expect((await sfus[1]?.http('GET', '/rooms'))?.body).toEqual({ rooms: [] });

    await first.http('POST', '/rooms/kick', { room: 'lobby', peerId: cem.id, banSec: 60 });
    await cem.next('kicked');
    await bob.next('peer-left', ({ peerId, reason }) => peerId === cem.id && reason === 'kicked');
    const back = new TestPeer((sfus[1] as RunningSfu).connect({ home, identity: 'key-cem' }));
    peers.push(back);
    await until('the socket', () => back.socket.readyState === 1);
    back.send({ type: 'join' });
    await back.next('error', ({ code }) => code === 'forbidden');
    await until('the end', () => back.closed?.code === 4003);
    expect(idsSeenBy(ann)).toEqual([bob.id]);
  });

  test('data channels reach everybody else at every SFU, or one peer and its answers, and end with their opener', async () => {
    const [ann, bob] = [await join(0, 'Ann'), await join(1, 'Bob')];
    await until('Ann to see Bob', () => idsSeenBy(ann).includes(bob.id));
    const chat = await bob.openChannel('chat');
    const cem = await join(2, 'Cem');
    await until('Bob to see Cem', () => idsSeenBy(bob).includes(cem.id));
    const copies = [await ann.channelFrom(bob.id, 'chat'), await cem.channelFrom(bob.id, 'chat')];
    chat.channel.send('hello');
    for (const copy of copies) await until('the message', () => copy.messages.join() === 'hello');

    const direct = await bob.openChannel('secret', `to=${cem.id}&ordered=false&maxRetransmits=0`);
    const copy = await cem.channelFrom(bob.id, 'secret');
    expect(Object.fromEntries(new URLSearchParams(copy.channel.protocol))).toEqual({
      ...{ from: bob.id, to: cem.id, ordered: 'false', maxRetransmits: '0' },
    });
    direct.channel.send('psst');
    await until('the secret', () => copy.messages.join() === 'psst');
    copy.channel.send('what?');
    await until('the answer', () => direct.messages.join() === 'what?');
    expect(ann.channels).toHaveLength(1);
    await bob.end();
    await until('the end of all', () => [...copies, copy].every(({ closed }) => closed));
    expect(await Promise.all(sfus.map((sfu) => metric(sfu, 'links')))).toEqual([2, 1, 1]);
    for (const sfu of sfus) await until('no channel', async () => (await metric(sfu, 'data_channel_legs')) === 0);
  });

  test('a link speaks only for peers that it brought, and a track that it names twice is one', async () => {
    const [ann, bob] = [await join(0, 'Ann'), await join(1, 'Bob')];
    await bob.publish(MICROPHONE);
    const { trackId } = await ann.trackOf(bob.id, 'audio');
    const link = (sfus[0] as RunningSfu).connect({ home, link: 'node-3' });
    await once(link, 'open');
    const tell = (...frames: LinkFrame[]) => {
      for (const frame of frames) link.send(JSON.stringify(frame));
    };
    const peer = (peerId: string, name: string): LinkFrame => ({
      ...{ type: 'peer', peerId, name, identity: 'key-3', node: 'node-3' },
    });
    let ssrc = 9_000_000;
    const track = (peerId: string, trackId: string): LinkFrame => ({
      ...{ type: 'track', peerId, trackId, kind: 'audio', muted: false, forced: false },
      codecs: [{ name: 'opus', clockRate: 48_000, channels: 2, payloadType: 111, fmtp: '', key: 'opus/48000/2;' }],
      encodings: [{ ssrc: ssrc++, rtxSsrc: ssrc++, width: 0, height: 0, maxBitrate: 0 }],
    });
    tell(peer(bob.id, 'not Bob'), track(bob.id, 't_other'), { type: 'track-gone', trackId });
    tell({ type: 'data', from: bob.id, data: 'not of Bob' }, { type: 'peer-gone', peerId: bob.id, reason: 'left' });
    const said = track('p_cem', 't_cem');
    tell(peer('p_cem', 'Cem'), said, said, track('p_cem', 't_last'));
    for (const peer of [ann, bob]) await peer.next('track-added', (frame) => frame.trackId === 't_last');
    expect(ann.frames.filter((frame) => frame.type === 'track-updated' && frame.trackId === 't_cem')).toHaveLength(1);
    const told = (peer: TestPeer) =>
      peer.frames.flatMap((frame) => {
        if (frame.type === 'track-added') return `track ${frame.trackId}`;
        return /^(peer-updated|track-removed|peer-left|data)$/.test(frame.type) ? frame.type : [];
      });
    for (const peer of [ann, bob]) expect(told(peer)).toEqual([trackId, 't_cem', 't_last'].map((id) => `track ${id}`));
    link.close();
  });

  test('an SFU that is not the home takes no links', async () => {
    await join(1, 'Bob');
    const link = (sfus[1] as RunningSfu).connect({ home, link: 'node-3' });
    const [code] = await once(link, 'close');
    expect(code).toBe(4013);
  });

  test('the room takes no more than it may, over all SFUs, and who is one too many is told', async () => {
    await join(0, 'Ann', { maxParticipants: 2 });
    const bob = await join(1, 'Bob', { maxParticipants: 2 });
    const late = new TestPeer((sfus[2] as RunningSfu).connect({ home, maxParticipants: 2 }));
    peers.push(late);
    await until('the socket', () => late.socket.readyState === 1);
    late.send({ type: 'join' });
    await late.next('error', ({ code }) => code === 'room_full');
    await until('the end', () => late.closed?.code === 4004);
    await bob.end();
    await until('room for another', async () => {
      const { body } = await (sfus[0] as RunningSfu).http('GET', '/rooms');
      return (body as { rooms: SfuRoom[] }).rooms[0]?.participants.length === 1;
    });
    await join(2, 'Cem', { maxParticipants: 2 });
  });

  test('of two whom two SFUs let in at the same moment, the home takes back the one who is too many', async () => {
    const full = { maxParticipants: 4 };
    await Promise.all([join(0, 'Ann', full), join(1, 'Bob', full), join(2, 'Cem', full)]);
    const late = [1, 2].map((at) => new TestPeer((sfus[at] as RunningSfu).connect({ home, ...full })));
    peers.push(...late);
    await until('the sockets', () => late.every(({ socket }) => socket.readyState === 1));
    for (const peer of late) peer.send({ type: 'join' });
    const refused = await until('one to be refused', () => late.find(({ closed }) => closed?.code === 4004));
    expect(refused.frames).toContainEqual(expect.objectContaining({ type: 'error', code: 'room_full' }));
    const stayed = late.find((peer) => peer !== refused) as TestPeer;
    await stayed.next('welcome');
    await until('the room to be full and no more', async () => {
      const { body } = await (sfus[0] as RunningSfu).http('GET', '/rooms');
      return (body as { rooms: SfuRoom[] }).rooms[0]?.participants.length === 4;
    });
    expect(stayed.closed).toBeNull();
  });

  test('a room that is closed at its home is closed for everybody, and serves whoever comes after that', async () => {
    const [ann, bob] = [await join(0, 'Ann'), await join(1, 'Bob')];
    await (sfus[0] as RunningSfu).http('DELETE', '/rooms?room=lobby');
    for (const peer of [ann, bob]) {
      await peer.next('room-closed');
      await until('the end', () => peer.closed?.code === 4004);
    }
    const [again, other] = [await join(1, 'Bob'), await join(0, 'Ann')];
    expect(other.welcome.participants.map(({ peerId }) => peerId)).toEqual([again.id]);
  });

  test('the home that drains has everybody told to go elsewhere, and its end sends them there', async () => {
    const [ann, bob] = [await join(0, 'Ann'), await join(1, 'Bob')];
    await sfus[0]?.sfu.stop();
    for (const peer of [ann, bob]) {
      await peer.next('server-draining');
      await until('the end', () => peer.closed?.code === 4013);
    }
  });

  test('the newer ticket is right: who held or served the room before sends its clients after it, and links are refused', async () => {
    const [ann, bob] = [await join(0, 'Ann'), await join(1, 'Bob')];
    const second = { node: 'node-2', address: sfus[1]?.address ?? '', signalingPort: 30_000, generation: 2 };
    const cem = await join(2, 'Cem', { home: second });
    await until('the end for Bob', () => bob.closed?.code === 4013);
    const back = await join(0, 'Ann', { home: second });
    await until('the end for Ann', () => ann.closed?.code === 4013);
    expect(back.welcome.participants.map(({ peerId }) => peerId)).toEqual([cem.id]);
    const stale = new TestPeer((sfus[2] as RunningSfu).connect({ home }));
    peers.push(stale);
    await until('the socket', () => stale.socket.readyState === 1);
    stale.send({ type: 'join' });
    await stale.next('error', ({ code }) => code === 'sfu_unavailable');
    await until('the end', () => stale.closed?.code === 4013);
    expect(cem.closed).toBeNull();
  });
});

describe('an SFU of a room that is killed', () => {
  let alive: RunningSfu;
  let killed: { process: ChildProcess; sfu: ReachableSfu };
  let peers: TestPeer[] = [];
  /** Joins, and again when told to come back: a process that has just started on a busy machine may say so. */
  const join = async (sfu: ReachableSfu, home: RoomHome, name: string): Promise<TestPeer> => {
    const peer = new TestPeer(sfu.connect({ home }));
    peers.push(peer);
    await until('the socket', () => peer.socket.readyState === 1);
    peer.send({ type: 'join', name });
    await until('an answer', () => peer.closed ?? peer.welcome);
    if (peer.closed?.code === 4013) return join(sfu, home, name);
    await peer.next('welcome');
    return peer;
  };
  const homeAt = (node: string, { address }: ReachableSfu, generation = 1): RoomHome => ({
    ...{ node, address, signalingPort: 30_000, generation },
  });

  beforeEach(async () => {
    alive = await startSfu({ node: 'node-1' });
    const child = spawn(process.execPath, ['--conditions=source', SFU_PROCESS, 'node-2'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [address] = (await once(child.stdout, 'data')) as [Buffer];
    killed = { process: child, sfu: reachSfu(address.toString().trim()) };
  });
  afterEach(async () => {
    killed.process.kill('SIGKILL');
    await Promise.all(peers.map((peer) => peer.end()));
    peers = [];
    await alive.sfu.stop();
  });

  test('takes its peers out of the room at once, and nobody else', async () => {
    const home = homeAt('node-1', alive);
    const [ann, bob, cem] = [
      await join(alive, home, 'Ann'),
      await join(killed.sfu, home, 'Bob'),
      await join(alive, home, 'Cem'),
    ];
    await bob.publish(MICROPHONE);
    const { trackId } = await ann.trackOf(bob.id, 'audio');
    killed.process.kill('SIGKILL');
    for (const peer of [ann, cem]) {
      await peer.next('track-removed', (frame) => frame.trackId === trackId);
      await peer.next('peer-left', ({ peerId, reason }) => peerId === bob.id && reason === 'timeout');
      expect(peer.closed).toBeNull();
    }
    await until('Bob to be told', () => bob.closed);
    const back = await join(alive, home, 'Bob');
    expect(back.welcome.participants).toHaveLength(2);
  });

  test('sends everybody else to the next home, when it was the home', async () => {
    const home = homeAt('node-2', killed.sfu);
    const [ann, bob] = [await join(alive, home, 'Ann'), await join(killed.sfu, home, 'Bob')];
    await until('them to meet', () => ann.frames.some(({ type }) => type === 'peer-joined'));
    killed.process.kill('SIGKILL');
    await until('Ann to be sent away', () => ann.closed?.code === 4013);
    await until('Bob to lose it', () => bob.closed);
    const back = await join(alive, homeAt('node-1', alive, 2), 'Ann');
    expect(back.welcome.participants).toEqual([]);
  });
});
