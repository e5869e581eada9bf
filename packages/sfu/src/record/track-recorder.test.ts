import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isRtcp, readUint32 } from '../rtp/header.ts';
import { decoded, encodedMedia } from '../testing/encoded-media.ts';
import { withLargestFile } from '../testing/largest-file.ts';
import { PeerClock } from './peer-clock.ts';
import { TrackRecorder } from './track-recorder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orama-record-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const faults: unknown[] = [];

/** What a file says of its own length (Matroska's Duration element, RFC 9559 section 5.1.2.10). */
function lengthMs(path: string): number {
  const file = readFileSync(path);
  return file.readDoubleBE(file.indexOf(Buffer.from([0x44, 0x89, 0x88])) + 3);
}

/** Records what came of one stream into a file. */
async function record(codec: string, datagrams: readonly Buffer[], path: string): Promise<TrackRecorder> {
  const packets = datagrams.filter((packet) => !isRtcp(packet));
  const kind = codec === 'opus' ? 'audio' : 'video';
  const recorder = new TrackRecorder({
    track: { trackId: 't', peerId: 'p', name: undefined, kind, muted: false, codec },
    ...{ codec, path, clockRate: kind === 'audio' ? 48_000 : 90_000, ssrc: readUint32(packets[0] as Buffer, 8) },
    clock: new PeerClock(),
    send: () => true,
    onFault: (_recorder, thrown) => faults.push(thrown),
  });
  packets.forEach((packet, i) => {
    recorder.receive(packet, i);
  });
  await recorder.close();
  return recorder;
}

describe('TrackRecorder', () => {
  test.each([
    ['opus', 'webm', 'opus', 100],
    ['VP8', 'webm', 'vp8', 30],
    ['VP9', 'webm', 'vp9', 30],
    ['AV1', 'webm', 'av1', 30],
    ['H264', 'mkv', 'h264', 30],
    ['H265', 'mkv', 'hevc', 30],
  ])(
    '%s as ffmpeg encodes it becomes a file of which every frame is decoded',
    async (codec, extension, name, frames) => {
      const path = join(folder, `track.${extension}`);
      const recorder = await record(codec, await encodedMedia(codec), path);
      const described = recorder.describe(0);
      expect(described).toMatchObject({ file: `track.${extension}`, codec, lostPackets: 0 });
      const probed = await decoded(path);
      expect(probed.codec).toBe(name);
      expect(probed.frames).toBe(described?.frames);
      expect(Math.abs(probed.frames - frames)).toBeLessThanOrEqual(2);
      expect(probed.seconds).toBeCloseTo(described?.durationSec ?? 0, 1);
    },
  );

  test('a packet without content, which has the number of one that was left out on purpose, is nothing that is missed', async () => {
    const media = (await encodedMedia('VP8')).filter((packet) => !isRtcp(packet));
    const whole = await record('VP8', media, join(folder, 'whole.webm'));
    const filled = media.flatMap((packet, i) => {
      const numbered = Buffer.from(packet);
      numbered.writeUInt16BE(2 * i, 2);
      const filler = Buffer.from(numbered.subarray(0, 12));
      filler[0] = 0x80;
      filler.writeUInt16BE(2 * i + 1, 2);
      return [numbered, filler];
    });
    const recorder = await record('VP8', filled, join(folder, 'filled.webm'));
    const { frames } = whole.describe(0) ?? {};
    expect(recorder.describe(0)).toMatchObject({ frames, lostPackets: 0 });
  });

  test('a file that may not grow any further is told, has its length put right, and plays up to there', async () => {
    const path = join(folder, 'track.mkv');
    const media = await encodedMedia('H264');
    const whole = await record('H264', media, join(folder, 'whole.mkv'));
    // In the second of three pieces or more that are written: the first, with the length, is on the disk by then.
    const limit = 24 * 1024;
    expect(statSync(join(folder, 'whole.mkv')).size).toBeGreaterThan(2 * limit);
    await withLargestFile(limit, async () => {
      const recorder = await record('H264', media, path);
      expect(recorder.failed).toBe(true);
      expect(recorder.describe(0)?.fault).toContain('may not be larger');
    });
    expect(faults.splice(0)).toMatchObject([{ code: 'EFBIG' }]);
    expect(statSync(path).size).toBe(limit);
    const { frames } = await decoded(path);
    expect(frames).toBeGreaterThan(3);
    expect(frames).toBeLessThan(whole.describe(0)?.frames ?? 0);
    expect(lengthMs(path)).toBeGreaterThan(200);
  });

  test('a disk without room for a single byte is told', async () => {
    const recorder = await record('opus', await encodedMedia('opus'), '/dev/full');
    expect(recorder.failed).toBe(true);
    expect(recorder.describe(0)?.fault).toBe('the disk is full');
    expect(faults.splice(0)).toMatchObject([{ code: 'ENOSPC' }]);
  });
});
