import { Caller } from '../bed/caller.ts';
import { note, type Row, type Scenario } from './scenario.ts';

/** Pages of Chromium that join one after the other and see one publisher. */
export const joins: Scenario = {
  name: 'joins',
  title: 'From pressing "Join" to the first decoded frame',
  async run(bed, short) {
    const [one, two] = await Promise.all([bed.browser(1, 'chromium'), bed.browser(2, 'chromium')]);
    const sender = await Caller.join(one, bed.access, { room: 'joins', name: 'sender' });
    const tookMs: number[] = [];
    for (let i = 0; i < (short ? 10 : 50); i++) {
      const { page } = await Caller.open(two, bed.access, { room: 'joins', name: `guest ${i}` });
      const joinedAt = await page.pressJoin();
      tookMs.push((await page.whenPicturesOf(1, { timeoutMs: 30_000 })) - joinedAt);
      await page.close();
    }
    await sender.close();
    tookMs.sort((a, b) => a - b);
    const row: Row = note(
      `${tookMs.length} joins: median, worst`,
      `${tookMs[tookMs.length >> 1]} ms, ${tookMs.at(-1)} ms`,
    );
    return [row];
  },
};
