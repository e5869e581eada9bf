import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { EventLoopMeter } from '@orama/core';
import { SIGNALLING_CLOSE } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningSfu, startSfu, writeTurnUris } from '../testing/running-sfu.ts';
import { TestPeer, until, VP8_KEY } from '../testing/test-peer.ts';
import { unlessGone, workerProcesses } from '../testing/worker-processes.ts';

const SIGNALLING_PORT = 30_000;
const CAMERA = { mid: '0', kind: 'video', ssrc: 1_000_001, source: 'camera' } as const;

describe('Sfu with two workers', () => {
  let dir: string;
  let configFile: string;
  let sfu: RunningSfu;
  const peers: TestPeer[] = [];
  const join = async (room: string) => {
    const peer = await TestPeer.join(sfu, { room });
    peers.push(peer);
    return peer;
  };
  const metric = async (name: string) => {
    const { body } = await sfu.http('GET', '/metrics', undefined, false);
    return Number(new RegExp(`^orama_sfu_${name}\\S* (\\d+)`, 'm').exec(String(body))?.[1]);
  };

  /** Keeps the event loop of the first worker, which is this one, busy until there is a second. */
  const workHard = async () => {
    while ((await metric('workers')) < 2) await spin();
  };

  beforeEach(async () => {
    dir = mkdtempSync(resolve(tmpdir(), 'sfu-workers-'));
    configFile = resolve(dir, 'sfu.json');
    writeTurnUris(configFile, 'turn:127.82.1.1:3478?transport=udp');
    sfu = await startSfu({ workers: 2, logLevel: 'fatal' }, undefined, configFile, { eventLoop: new EventLoopMeter() });
    await workHard();
  });
  afterEach(async () => {
    for (const peer of peers.splice(0)) await peer.end();
    await sfu.sfu.stop();
    rmSync(dir, { recursive: true });
    expect(workerProcesses()).toEqual([]);
  });

  /** Joins rooms until the second worker has one. */
  const roomsOnBoth = async () => {
    const [pid] = workerProcesses();
    for (let n = 0; ; n++) {
      const room = `room-${n}`;
      const peer = await join(room);
      if (signallingSockets(Number(pid)).length > 0) return { room, peer, pid: Number(pid) };
      await workHard();
    }
  };

  test('a room on the second one has signalling, media, TURN servers and room commands like any other', async () => {
    const { room, peer: viewer } = await roomsOnBoth();
    const publisher = await join(room);
    await publisher.publish(CAMERA);
    const video = await viewer.trackOf(publisher.id, 'video');
    await until('a key frame request', () => publisher.rtcp('0', 'pli').length > 0);
    publisher.sendPacket('0', 1, { payload: VP8_KEY });
    await until('the key frame', () => viewer.packets(video.mid).length > 0);

    const { body } = await sfu.http('GET', '/rooms');
    const listed = (body as { rooms: { room: string; participants: unknown[] }[] }).rooms;
    expect(listed.find((each) => each.room === room)?.participants).toHaveLength(2);
    expect(listed).toHaveLength(new Set(peers.map(({ welcome }) => welcome.room)).size);
    const mute = { room, peerId: publisher.id, muted: true };
    expect(await sfu.http('POST', '/rooms/mute', mute)).toEqual({ status: 200, body: { affected: 1 } });
    const unknown = await sfu.http('POST', '/rooms/kick', { room, peerId: 'p_none', banSec: 0 });
    expect(unknown).toMatchObject({ status: 404, body: { error: { code: 'PEER_NOT_FOUND' } } });
    const others = ['turn:127.82.1.2:3478?transport=udp'];
    writeTurnUris(configFile, ...others);
    await until('the TURN servers that the configuration file has now', async () => {
      const { uris } = await (await join(room)).next('turn-credentials');
      return String(uris) === String(others);
    });
    expect(await sfu.http('DELETE', `/rooms?room=${room}`)).toMatchObject({ status: 200 });
    await until('the close', () => viewer.closed?.code === SIGNALLING_CLOSE.noSuchRoom);
  });

  test('one that dies takes its own rooms along and no others; its clients can join again', async () => {
    const { room, peer, pid } = await roomsOnBoth();
    const staying = peers.filter((each) => each !== peer);
    process.kill(pid, 'SIGKILL');
    await until('the end of the socket', () => peer.closed);
    await until('the worker to be missed', async () => (await metric('workers')) === 1);
    // The first one was made too busy to take anybody; that passes only when the whole machine has time for it.
    await workHard();
    expect((await join(room)).welcome.participants).toEqual([]);
    expect(staying.map(({ closed }) => closed)).toEqual(staying.map(() => null));
  });
});

test('an SFU whose event loop is late turns new peers away and says so, and lets old ones resume', async () => {
  const sfu = await startSfu({ workers: 1 }, undefined, undefined, { eventLoop: new EventLoopMeter() });
  const peer = await TestPeer.join(sfu);
  const isBusy = async () => (await sfu.http('GET', '/healthz')).body as { status: string };
  while ((await isBusy()).status !== 'busy') await spin();
  const { room, resumeToken } = peer.welcome;
  const refused = sfu.connect({ room });
  refused.once('open', () => refused.send(JSON.stringify({ type: 'join' })));
  const [code] = (await once(refused, 'close')) as [number];
  expect(code).toBe(SIGNALLING_CLOSE.moved);
  const resumed = await TestPeer.join(sfu, { room }, { resume: resumeToken });
  expect(resumed.welcome).toMatchObject({ peerId: peer.id, resumed: true });
  await resumed.end();
  await peer.end();
  await sfu.sfu.stop();
});

/** Keeps the event loop of this process from anything else for a while. */
async function spin(): Promise<void> {
  const until = performance.now() + 100;
  while (performance.now() < until);
  await setImmediate();
}

/** Signalling sockets that a process has. */
function signallingSockets(pid: number): string[] {
  const inodes = readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '']) => Number.parseInt(local.split(':')[1] ?? '', 16) === SIGNALLING_PORT)
    .map((fields) => `socket:[${fields[9]}]`);
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => unlessGone(() => readlinkSync(`/proc/${pid}/fd/${fd}`)))
    .filter((target) => inodes.includes(target));
}
