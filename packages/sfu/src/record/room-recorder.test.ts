import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { NativeTrack } from '../rtc/native-track.ts';
import { readUint32 } from '../rtp/header.ts';
import { buildSenderReport } from '../rtp/rtcp/build.ts';
import { withLargestFile } from '../testing/largest-file.ts';
import { type RunningSfu, startSfu } from '../testing/running-sfu.ts';
import { type SentTrack, TestPeer, until } from '../testing/test-peer.ts';
import { type Recording, recordingSchema } from './manifest.ts';
import type { MediaWay } from './receiver.ts';
import { RoomRecorder } from './room-recorder.ts';

const ADDRESS = '127.65.82.2';
const CAMERA: SentTrack = { mid: '0', kind: 'video', ssrc: 3_000_001, source: 'camera' };
const MICROPHONE: SentTrack = { mid: '1', kind: 'audio', ssrc: 3_000_002, source: 'microphone' };
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
/** Key frames of 640 by 360: descriptor, frame header, and something behind. */
const VP8 = Buffer.concat([hex('10  000000 9d012a 8002 6801'), Buffer.alloc(900)]);
const VP9 = hex('8a 01  18 0280 0168 01 04 02  aa');

/** Straight to the SFU, in place of a relay. */
const STRAIGHT: MediaWay = {
  local: { address: ADDRESS, port: 9 },
  candidate: `candidate:1 1 udp 2122317823 ${ADDRESS} 9 typ host`,
  expectPeer: () => {},
  redirected: (sdp) => sdp,
  redirect: (candidate) => candidate,
  close: async () => {},
};

describe('RoomRecorder', () => {
  let sfu: RunningSfu;
  let gateway: WebSocketServer;
  let folder: string;
  let stop: AbortController;
  let recorded: Promise<Recording>;
  let files: string[];
  let notes: string[];
  /** Of the SFU to the recorder, and how many of them it answered. */
  let offers: string[];
  let answers: number;
  let sequence = 0;

  beforeEach(async () => {
    sfu = await startSfu({ drainTimeoutMs: 1 });
    folder = mkdtempSync(join(tmpdir(), 'orama-recording-'));
    stop = new AbortController();
    [files, notes, offers, answers] = [[], [], [], 0];
    gateway = new WebSocketServer({ host: ADDRESS, port: 0 });
    gateway.on('connection', (client) => {
      const signalling = sfu.connect();
      const open = once(signalling, 'open');
      client.on('message', async (data) => {
        await open;
        if (String(data).includes('"type":"answer"')) answers++;
        signalling.send(String(data));
      });
      signalling.on('message', (data) => {
        const frame = JSON.parse(String(data)) as { type: string; sdp: string };
        if (frame.type === 'offer') offers.push(frame.sdp);
        client.send(String(data));
      });
      signalling.on('close', (code, reason) => client.close(code, reason));
      client.on('close', () => signalling.close());
    });
    await once(gateway, 'listening');
  });
  afterEach(async () => {
    stop.abort();
    await recorded.catch(() => {});
    gateway.close();
    await sfu.sfu.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const record = () => {
    recorded = new RoomRecorder({
      gateway: `http://${ADDRESS}:${(gateway.address() as AddressInfo).port}`,
      ...{ apiKey: 'key', room: 'lobby', folder, name: 'recorder', signal: stop.signal },
      openWay: async () => STRAIGHT,
      onTrack: ({ file, codec }) => files.push(`${file.slice(0, file.indexOf('-p_'))} ${codec}`),
      onNote: (text) => notes.push(text),
    }).run();
    return recorded;
  };
  const manifest = (): Recording =>
    recordingSchema.parse(JSON.parse(readFileSync(join(folder, 'recording.json'), 'utf8')));
  /** Sends until a condition holds. */
  const sendUntil = (what: string, send: (sequence: number) => void, check: () => unknown) =>
    until(what, () => {
      send(sequence++);
      return Boolean(check());
    });

  test('a publisher that leaves and comes back goes into another file each time, also on an SSRC of before', async () => {
    record();
    for (let visit = 1; visit <= 3; visit++) {
      const publisher = await TestPeer.join(sfu);
      await publisher.publish(CAMERA);
      const send = (sequence: number) => publisher.sendPacket('0', sequence, { payload: VP8 });
      await sendUntil(`file ${visit}`, send, () => files.length === visit);
      const enough = sequence + 20;
      await sendUntil('pictures', send, () => sequence > enough);
      await publisher.end();
      await until('the m-line to be free', () => offers.at(-1)?.includes('a=inactive') && answers === offers.length);
    }
    stop.abort();
    const { tracks } = await recorded;
    expect(files).toEqual(['01-camera VP8', '02-camera VP8', '03-camera VP8']);
    expect(tracks.map(({ frames }) => frames > 5)).toEqual([true, true, true]);
    expect(new Set(tracks.map(({ trackId }) => trackId)).size).toBe(3);
    const ssrcs = offers.flatMap((sdp) => /^a=ssrc:(\d+)/m.exec(sdp)?.[1] ?? []);
    expect(new Set(ssrcs).size).toBe(2);
    expect(manifest().tracks).toEqual(tracks);
  });

  test('what still comes of a track that has ended stays out of the next file of its m-line', async () => {
    const late: Buffer[] = [];
    let receiving: NativeTrack | undefined;
    const { send } = NativeTrack.prototype;
    const wire = vi.spyOn(NativeTrack.prototype, 'send').mockImplementation(function (this: NativeTrack, packet) {
      if (packet.includes('the first') && readUint32(packet, 8) !== CAMERA.ssrc) late.push(Buffer.from(packet));
      if (this.mid === 's0') receiving = this;
      return send.call(this, packet);
    });
    onTestFinished(() => wire.mockRestore());
    record();
    const picture = (text: string) => Buffer.concat([VP8, Buffer.from(text)]);
    const first = await TestPeer.join(sfu);
    await first.publish(CAMERA);
    await sendUntil(
      'the first file',
      (sequence) => first.sendPacket('0', sequence, { payload: picture('the first') }),
      () => files.length === 1 && late.length > 3 && receiving,
    );
    await first.end();
    await until('the m-line to be free', () => offers.at(-1)?.includes('a=inactive') && answers === offers.length);
    const second = await TestPeer.join(sfu);
    await second.publish(CAMERA);
    await until('the next track', () => offers.at(-1)?.includes('a=sendonly') && answers === offers.length);
    wire.mockRestore();
    for (const packet of late) receiving?.onPacket?.(packet);
    await sendUntil(
      'the second file',
      (sequence) => second.sendPacket('0', sequence, { payload: picture('the second') }),
      () => files.length === 2,
    );
    // A report that belongs to the stream before: by it the file would begin hours from now.
    receiving?.onPacket?.(
      buildSenderReport({
        ...{ ssrc: readUint32(late[0] as Buffer, 8), ntpSeconds: 3_900_000_000, ntpFraction: 0, reports: [] },
        ...{ rtpTimestamp: (sequence * 3_000 + 0x4000_0000) >>> 0, packetCount: 1, octetCount: 1 },
      }),
    );
    const enough = sequence + 20;
    await sendUntil(
      'more pictures',
      (sequence) => second.sendPacket('0', sequence, { payload: picture('the second') }),
      () => sequence > enough,
    );
    stop.abort();
    const { tracks } = await recorded;
    const written = tracks.map(({ file }) => readFileSync(join(folder, file)));
    expect(written.map((file) => [file.includes('the first'), file.includes('the second')])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(tracks[1]?.startSec).toBeGreaterThan(0);
    expect(tracks[1]?.startSec).toBeLessThan(60);
    await second.end();
  });

  test('a track that changes its codec goes on in another file', async () => {
    record();
    const publisher = await TestPeer.join(sfu);
    await publisher.publish({ ...CAMERA, otherCodecs: [{ name: 'VP9', payloadType: 98 }] });
    await sendUntil(
      'a file in VP8',
      (sequence) => publisher.sendPacket('0', sequence, { payload: VP8 }),
      () => files.length === 1,
    );
    await sendUntil(
      'a file in VP9',
      (sequence) => publisher.sendPacket('0', sequence, { payloadType: 98, payload: VP9 }),
      () => files.length === 2,
    );
    stop.abort();
    const { tracks } = await recorded;
    expect(tracks.map(({ file, codec }) => `${file.slice(0, 9)} ${codec}`)).toEqual(['01-camera VP8', '02-camera VP9']);
    expect(tracks[0]?.trackId).toBe(tracks[1]?.trackId);
    await publisher.end();
  });

  test('a file that cannot grow any further is told, the other tracks go on, and so does the manifest', async () => {
    record();
    const publisher = await TestPeer.join(sfu);
    await publisher.publish(CAMERA, MICROPHONE);
    const send = (sequence: number) => {
      publisher.sendPacket('0', sequence, { payload: VP8 });
      publisher.sendPacket('1', sequence, { payload: hex('f8ff'), timestamp: sequence * 960 });
    };
    await sendUntil('two files', send, () => files.length === 2);
    await withLargestFile(50_000, async () => {
      await sendUntil('the limit', send, () => notes.length > 0);
      const end = sequence + 30;
      await sendUntil('more sound', send, () => sequence > end);
      stop.abort();
      await expect(recorded).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/^the recording is not whole: files may not be larger/),
        hint: expect.stringContaining('can be played'),
      });
    });
    expect(notes).toEqual([expect.stringMatching(/^0[12]-camera-.*\.webm ends here: files may not be larger/)]);
    const { tracks, endedAt } = manifest();
    expect(endedAt).not.toBeNull();
    const of = (kind: string) => tracks.find((track) => track.kind === kind);
    expect(of('video')?.fault).toContain('may not be larger');
    expect(of('audio')?.fault).toBeUndefined();
    expect(of('audio')?.frames).toBeGreaterThan((of('video')?.frames ?? 0) + 10);
    await publisher.end();
  });

  test('a folder that cannot be written is told before anything is recorded, with the option to change', async () => {
    folder = '/dev/null';
    await expect(record()).rejects.toMatchObject({
      message: expect.stringContaining('nothing can be written to /dev/null'),
      hint: expect.stringContaining('--output'),
    });
    folder = mkdtempSync(join(tmpdir(), 'orama-recording-'));
  });
});
