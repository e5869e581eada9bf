import { setTimeout as delay } from 'node:timers/promises';
import { Caller, framesEncodedOf, received } from '../bed/caller.ts';
import type { Reading } from '../bed/meter.ts';
import { atLeast, atMost, note, type Row, type Scenario } from './scenario.ts';

const PATH = { delayMs: 40, lossPercent: 5 };
/** Until the bandwidth estimates have settled on the path. */
const SETTLE_MS = 10_000;

/** Chromium and Firefox in a call, each behind a path that loses and delays both ways. */
export const loss: Scenario = {
  name: 'loss',
  title: '5 % random loss and 40 ms of delay, each way, on both clients',
  async run(bed, short) {
    const [chromium, firefox] = await Promise.all([bed.browser(1, 'chromium'), bed.browser(2, 'firefox')]);
    const [ann, fox] = await Promise.all([
      Caller.join(chromium, bed.access, { room: 'loss', name: 'ann' }),
      Caller.join(firefox, bed.access, { room: 'loss', name: 'fox' }),
    ]);
    await Promise.all([ann.sees(1), fox.sees(1)]);
    for (const client of [1, 2]) bed.network.setPath(client, PATH);
    await delay(short ? SETTLE_MS / 2 : SETTLE_MS);
    const callers = [
      { viewer: 'Firefox', who: fox, sender: 0 },
      { viewer: 'Chromium', who: ann, sender: 1 },
    ];
    const before = await Promise.all([ann.read(), fox.read()]);
    await Promise.all([ann.resetGaps(), fox.resetGaps()]);
    await delay(short ? 20_000 : 60_000);
    const gaps = await Promise.all([fox.gaps(), ann.gaps()]);
    const after = await Promise.all([ann.read(), fox.read()]);
    for (const { viewer, who } of callers) await tell(viewer, who, before[0].atMs);
    await Promise.all([ann.close(), fox.close()]);
    return callers.flatMap(({ viewer, sender }, i): Row[] => {
      const first = before[1 - sender] as Reading;
      const last = after[1 - sender] as Reading;
      const video = received(last, 'video');
      const decoded = (video?.framesDecoded ?? 0) - (received(first, 'video')?.framesDecoded ?? 0);
      const encoded = framesEncodedOf(after[sender] as Reading) - framesEncodedOf(before[sender] as Reading);
      const concealed = share(first, last);
      const { longestGapMs, longestFreezeMs } = gaps[i] as (typeof gaps)[number];
      return [
        atMost(`${viewer}: longest time without a new frame`, longestGapMs, 500, 'ms'),
        atMost(`${viewer}: longest freeze of getStats`, longestFreezeMs, 500, 'ms'),
        atLeast(`${viewer}: frames decoded of those encoded`, (100 * decoded) / Math.max(1, encoded), 95, '%'),
        note(
          `${viewer}: frames, key frames, freezes of getStats`,
          `${decoded} of ${encoded}, ${(video?.keyFramesDecoded ?? 0) - (received(first, 'video')?.keyFramesDecoded ?? 0)}, ${(video?.freezeCount ?? 0) - (received(first, 'video')?.freezeCount ?? 0)}`,
        ),
        note(`${viewer}: audio samples concealed`, `${concealed.toFixed(2)} %`),
      ];
    });
  },
};

/** Prints what happened to a caller; times are seconds of the measured minute. */
async function tell(viewer: string, who: Caller, startMs: number): Promise<void> {
  for (const { atMs, text } of await who.notes())
    if (atMs >= startMs) console.log(`       ${viewer}, ${((atMs - startMs) / 1000).toFixed(1)} s: ${text}`);
}

/** Share of audio samples that the decoder made up between two readings, in percent. */
function share(first: Reading, last: Reading): number {
  const [from, to] = [received(first, 'audio'), received(last, 'audio')];
  const total = (to?.totalSamples ?? 0) - (from?.totalSamples ?? 0);
  return (100 * ((to?.concealedSamples ?? 0) - (from?.concealedSamples ?? 0))) / Math.max(1, total);
}
