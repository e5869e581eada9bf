import { setTimeout as delay } from 'node:timers/promises';
import type { Bed } from '../bed/bed.ts';
import { Caller, received, secondsUntil, targetBitrateOf } from '../bed/caller.ts';
import { atMost, note, type Row, type Scenario } from './scenario.ts';

/** What the client library asks of the encoder together, and the share of it that counts as reached. */
const CONFIGURED_BPS = 1_500_000;
const REACHED = 0.9 * CONFIGURED_BPS;
const GIVE_UP_SEC = 30;

/** Two pages of Chromium: one publishes on a clean path, the other's path is made narrow and wide again. */
async function call(bed: Bed, room: string): Promise<{ sender: Caller; viewer: Caller; rampSec: number }> {
  const [one, two] = await Promise.all([bed.browser(1, 'chromium'), bed.browser(2, 'chromium')]);
  const viewer = await Caller.join(two, bed.access, { room, name: 'viewer' });
  const sender = await Caller.join(one, bed.access, { room, name: 'sender' });
  const rampSec = await secondsUntil(
    'the encoder to aim at what is configured',
    sender,
    (reading) => targetBitrateOf(reading) >= REACHED,
    GIVE_UP_SEC,
  );
  await viewer.sees(1);
  return { sender, viewer, rampSec };
}

const heightOf = (reading: Awaited<ReturnType<Caller['read']>>) => received(reading, 'video')?.frameHeight ?? 0;

export const squeeze: Scenario = {
  name: 'squeeze',
  title: 'A clean path, then 500 kbit/s towards the subscriber, then a clean path again',
  async run(bed, short) {
    const { sender, viewer, rampSec } = await call(bed, 'squeeze');
    // The largest layer must have come before it can be taken away.
    await secondsUntil('the largest layer', viewer, (reading) => heightOf(reading) >= 360, 15);
    const full = heightOf(await viewer.read());
    await viewer.resetGaps();
    bed.network.setDownRate(2, 500);
    const downSec = await secondsUntil('a lower layer', viewer, (reading) => heightOf(reading) < full, 15);
    await delay(short ? 5_000 : 15_000);
    const squeezedGapMs = await viewer.longestGapMs();
    const low = heightOf(await viewer.read());
    bed.network.setDownRate(2, null);
    const upSec =
      low < full
        ? await secondsUntil('the higher layer', viewer, (reading) => heightOf(reading) >= full, GIVE_UP_SEC)
        : Number.POSITIVE_INFINITY;
    await Promise.all([sender.close(), viewer.close()]);
    return [
      atMost('publisher at 90 % of its 1.5 Mbit/s after', rampSec, 8, 's'),
      atMost('lower layer after', downSec, 3, 's'),
      atMost('longest time without a new frame while squeezed', squeezedGapMs, 1_000, 'ms'),
      atMost('higher layer after the release', upSec, 10, 's'),
      note('lines of picture before and while squeezed', `${full}, ${low}`),
    ];
  },
};

/** Until the video is off the path and its queue is empty. */
const PAUSE_SEC = 5;

export const pause: Scenario = {
  name: 'pause',
  title: '100 kbit/s towards the subscriber: audio goes on, video is paused and that is told',
  async run(bed, short) {
    const { sender, viewer } = await call(bed, 'pause');
    bed.network.setDownRate(2, 100);
    const squeezedAt = (await viewer.read()).atMs;
    const isTold = async () =>
      (await viewer.told(squeezedAt)).find(({ frame }) =>
        frame.type === 'track-updated'
          ? frame.delivery === 'no-bandwidth'
          : frame.type === 'quality' && frame.tracks.some(({ delivery }) => delivery === 'no-bandwidth'),
      );
    let told = await isTold();
    const deadline = performance.now() + GIVE_UP_SEC * 1_000;
    for (; !told && performance.now() < deadline; told = await isTold()) await delay(200);
    await delay(PAUSE_SEC * 1_000);
    const first = await viewer.read();
    await delay(short ? 8_000 : 20_000);
    const last = await viewer.read();
    const [audio, then] = [received(last, 'audio'), received(first, 'audio')];
    const samples = (audio?.totalSamples ?? 0) - (then?.totalSamples ?? 0);
    const concealed = (100 * ((audio?.concealedSamples ?? 0) - (then?.concealedSamples ?? 0))) / Math.max(1, samples);
    const frames = (received(last, 'video')?.framesDecoded ?? 0) - (received(first, 'video')?.framesDecoded ?? 0);
    bed.network.setDownRate(2, null);
    const resumedSec = await secondsUntil(
      'video to go on',
      viewer,
      (reading) => (received(reading, 'video')?.framesDecoded ?? 0) > (received(last, 'video')?.framesDecoded ?? 0) + 5,
      GIVE_UP_SEC,
    );
    await Promise.all([sender.close(), viewer.close()]);
    const rows: Row[] = [
      atMost(
        'told that there is no bandwidth after',
        told ? (told.atMs - squeezedAt) / 1_000 : Number.POSITIVE_INFINITY,
        5,
        's',
      ),
      atMost('audio samples concealed', samples === 0 ? 100 : concealed, 1, '%'),
      atMost('video frames decoded while paused', frames, 0, 'frames'),
      note('video goes on after the release', Number.isFinite(resumedSec) ? `${resumedSec.toFixed(1)} s` : 'not seen'),
    ];
    return rows;
  },
};
