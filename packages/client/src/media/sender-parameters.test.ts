import { expect, test } from 'vitest';
import { videoEncodings } from './encodings.ts';
import type { LocalTrack } from './local-track.ts';
import { SenderParameters } from './sender-parameters.ts';

/** A sender as a browser's: parameters are good for one write, and one write at a time. */
class StrictSender {
  encodings: RTCRtpEncodingParameters[];
  writes = 0;
  refused = 0;
  #transaction = 0;
  #isBusy = false;
  readonly #finish: (() => void)[] = [];

  constructor(rids: (string | undefined)[]) {
    this.encodings = rids.map((rid) => (rid === undefined ? {} : { rid, active: true }));
  }

  getParameters() {
    return { transactionId: String(++this.#transaction), encodings: this.encodings.map((each) => ({ ...each })) };
  }

  async setParameters(parameters: ReturnType<StrictSender['getParameters']>): Promise<void> {
    if (this.#isBusy || parameters.transactionId !== String(this.#transaction)) {
      this.refused++;
      throw new DOMException('stale', 'InvalidStateError');
    }
    this.#isBusy = true;
    await new Promise<void>((resolve) => this.#finish.push(resolve));
    this.#isBusy = false;
    this.encodings = parameters.encodings;
    this.writes++;
  }

  /** Ends the write that is under way, and lets what follows from it happen. */
  async finish(): Promise<void> {
    this.#finish.shift()?.();
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }

  get active(): (string | undefined)[] {
    return this.encodings.filter(({ active }) => active !== false).map(({ rid }) => rid);
  }
}

function create(rids: (string | undefined)[] = ['q', 'h', 'f']) {
  const sender = new StrictSender(rids);
  const size = rids.length > 1 ? { width: 1280, height: 720 } : { width: 320, height: 180 };
  const encodings = videoEncodings(size, { simulcast: true, scalabilityMode: undefined, maxBitrateBps: 1_000_000 });
  const track = { degradationPreference: 'balanced' } as LocalTrack;
  return { sender, parameters: new SenderParameters(sender as unknown as RTCRtpSender, track, encodings) };
}

test('SenderParameters: a layer that nobody watches is inactive until it is named again', async () => {
  const { sender, parameters } = create();
  parameters.watch(['q', 'f']);
  await sender.finish();
  expect(sender.active).toEqual(['q', 'f']);
  parameters.watch([]);
  await sender.finish();
  expect(sender.active).toEqual([]);
  parameters.watch(['q', 'h', 'f']);
  await sender.finish();
  expect(sender.active).toEqual(['q', 'h', 'f']);
  expect(sender.encodings.map(({ maxBitrate }) => maxBitrate)).toEqual([100_000, 300_000, 1_000_000]);
});

test('SenderParameters: what is asked for while a write is under way is written after it, the last of it once', async () => {
  const { sender, parameters } = create();
  parameters.watch(['f']);
  parameters.watch(['q']);
  parameters.watch(['h']);
  await sender.finish();
  expect(sender.active).toEqual(['f']);
  await sender.finish();
  expect(sender.active).toEqual(['h']);
  expect([sender.writes, sender.refused]).toEqual([2, 0]);
});

test('SenderParameters: a track without layers stays on, whatever is named', async () => {
  const { sender, parameters } = create([undefined]);
  parameters.watch([]);
  await sender.finish();
  expect([sender.writes, sender.active]).toEqual([0, [undefined]]);
});
