import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type BrowserDriver,
  CallPage,
  callGateway,
  LocalCluster,
  launchChromium,
  type NamespaceAccess,
  waitUntil,
} from '@orama/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** `orama room record` with a real Chromium that publishes, judged by ffmpeg. */
const run = promisify(execFile);
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;

interface Track {
  file: string;
  kind: 'audio' | 'video';
  codec: string;
  name: string;
  startSec: number;
  durationSec: number;
  frames: number;
}

beforeAll(async () => {
  [cluster, chromium] = await Promise.all([LocalCluster.start({ prefix: 48 }), launchChromium()]);
  access = await cluster.createEnabled('demo');
});
afterAll(async () => {
  await chromium?.close();
  await cluster?.stop();
});

/**
 * A page that flashes white and beeps together, once a second, and publishes both: the sound is scheduled for the moment
 * that the picture is drawn.
 */
const FLASH_AND_BEEP = `(async () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
  const context = canvas.getContext('2d');
  const audio = new AudioContext();
  const sink = audio.createMediaStreamDestination();
  const tone = audio.createOscillator();
  const gain = audio.createGain();
  gain.gain.value = 0;
  tone.connect(gain).connect(sink);
  tone.start();
  window.drawn = 0;
  setInterval(() => {
    const on = window.drawn++ % 20 < 4;
    context.fillStyle = on ? 'white' : 'black';
    context.fillRect(0, 0, 320, 180);
    gain.gain.setValueAtTime(on ? 1 : 0, audio.currentTime);
  }, 50);
  const video = canvas.captureStream(20).getVideoTracks()[0];
  await orama.room.publish(video, { source: 'flash', codec: 'AV1' });
  await orama.room.publish(sink.stream.getAudioTracks()[0], { source: 'beep', codec: 'RED' });
})()`;

/** What ffprobe says of a file, with all of its frames decoded. */
async function probe(file: string): Promise<{ frames: number; durationSec: number; codec: string }> {
  const { stdout } = await run('ffprobe', [
    ...['-v', 'error', '-count_frames', '-show_entries', 'stream=codec_name,nb_read_frames:format=duration'],
    ...['-of', 'json', file],
  ]);
  const { streams, format } = JSON.parse(stdout) as {
    streams: { codec_name: string; nb_read_frames: string }[];
    format: { duration: string };
  };
  return {
    frames: Number(streams[0]?.nb_read_frames),
    durationSec: Number(format.duration),
    codec: streams[0]?.codec_name ?? '',
  };
}

/** When the picture turns white, in seconds of the file. */
async function flashes(file: string): Promise<number[]> {
  const filter = `movie=${file},signalstats`;
  const { stdout } = await run('ffprobe', [
    ...['-v', 'error', '-f', 'lavfi', '-i', filter],
    ...['-show_entries', 'frame=pts_time:frame_tags=lavfi.signalstats.YAVG', '-of', 'csv=p=0'],
  ]);
  return rises(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(',').map(Number) as [number, number]),
    128,
  );
}

/** When the sound begins, in seconds of the file: root mean square over 10 ms. */
async function beeps(file: string): Promise<number[]> {
  const rate = 8_000;
  const { stdout } = await run(
    'ffmpeg',
    [
      '-v',
      'error',
      '-i',
      file,
      '-af',
      'aresample=async=1:first_pts=0',
      '-ac',
      '1',
      '-ar',
      String(rate),
      '-f',
      's16le',
      '-',
    ],
    { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 },
  );
  const window = rate / 100;
  const levels: [number, number][] = [];
  for (let start = 0; start + window <= stdout.length / 2; start += window) {
    let sum = 0;
    for (let i = start; i < start + window; i++) sum += stdout.readInt16LE(i * 2) ** 2;
    levels.push([start / rate, Math.sqrt(sum / window)]);
  }
  return rises(levels, 2_000);
}

/** Times at which a value goes from below the threshold to above it. */
function rises(values: [number, number][], threshold: number): number[] {
  return values.flatMap(([at, value], i) => {
    const before = values[i - 1];
    return before && before[1] < threshold && value >= threshold ? [at] : [];
  });
}

describe('orama room record', () => {
  test('writes what Chromium publishes: every file decodes, and sound and picture play within 80 ms', async () => {
    const room = 'studio';
    const page = await CallPage.join(chromium, access, { room, name: 'ann' });
    await waitUntil('the call', () => page.tab.evaluate<boolean>('window.orama?.room !== undefined'), Boolean);
    const folder = join(cluster.dataDir, 'studio');
    const recorder = cluster.spawn('room', 'record', room, '--namespace', 'demo', '--output', folder);
    await page.tab.evaluate(FLASH_AND_BEEP);
    for (const source of ['camera', 'microphone', 'flash', 'beep'])
      expect(await recorder.printed(new RegExp(`-${source}-.* of ann`))).toBe(true);
    expect(await page.others()).toEqual(['recorder']);
    const drawn = () => page.tab.evaluate<number>('window.drawn');
    const before = await drawn();
    await waitUntil('eight flashes', drawn, (now) => now >= before + 160);
    const { body } = await callGateway(access, 'GET', `/v1/webrtc/rooms/${room}/participants`);
    const { participants } = body as { participants: { tracks: Track[] }[] };
    const sent = participants.flatMap(({ tracks }) => tracks.map(({ codec }) => codec));
    expect(sent.sort()).toEqual(['AV1', 'VP8', 'opus', 'red']);
    const { code, stdout } = await recorder.kill('SIGINT');
    expect([code, stdout]).toEqual([0, expect.stringContaining('packets lost')]);
    await page.close();

    const { tracks } = JSON.parse(readFileSync(join(folder, 'recording.json'), 'utf8')) as { tracks: Track[] };
    expect(tracks.map(({ kind, name }) => [kind, name]).sort()).toEqual([
      ['audio', 'ann'],
      ['audio', 'ann'],
      ['video', 'ann'],
      ['video', 'ann'],
    ]);
    expect(tracks.map(({ codec }) => codec).sort()).toEqual(['AV1', 'VP8', 'opus', 'opus']);
    for (const { file, frames, durationSec } of tracks) {
      const probed = await probe(join(folder, file));
      expect(probed.frames).toBeGreaterThanOrEqual(frames - 2);
      expect(Math.abs(probed.durationSec - durationSec)).toBeLessThan(0.2);
      expect(durationSec).toBeGreaterThan(5);
    }
    const of = (part: string) => tracks.find(({ file }) => file.includes(part)) as Track;
    const [flash, beep] = [of('-flash-'), of('-beep-')];
    const seen = (await flashes(join(folder, flash.file))).map((at) => at + flash.startSec);
    const heard = (await beeps(join(folder, beep.file))).map((at) => at + beep.startSec);
    const offsets = seen.flatMap((at) => {
      const nearest = heard.reduce((best, each) => (Math.abs(each - at) < Math.abs(best - at) ? each : best), 1e9);
      return Math.abs(nearest - at) < 0.5 ? [nearest - at] : [];
    });
    expect(offsets.length).toBeGreaterThan(3);
    const median = offsets.sort((a, b) => a - b)[Math.floor(offsets.length / 2)] as number;
    expect(Math.abs(median)).toBeLessThan(0.08);
  });

  test('ends after its duration, also where nobody comes; what cannot be recorded is told with the next step', async () => {
    const folder = join(cluster.dataDir, 'nobody');
    const empty = await cluster.json<{ tracks: Track[] }>(
      ...['room', 'record', 'nobody', '--namespace', 'demo', '--output', folder, '--duration', '1'],
    );
    expect(empty.tracks).toEqual([]);
    const closed = await cluster.run(
      ...['room', 'record', 'x', '--gateway', 'http://127.0.0.1:9', '--output', folder],
      ...['--api-key-file', join(cluster.dataDir, 'keys', 'demo.key')],
    );
    expect(closed).toMatchObject({ code: 3, stderr: expect.stringContaining('next:') });
  });
});
