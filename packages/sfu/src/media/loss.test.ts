import { beforeEach, expect, test } from 'vitest';
import { isRtcp, RtpView, readRtp, readUint16, sequenceDistance } from '../rtp/header.ts';
import { buildNack } from '../rtp/rtcp/build.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import { KeptTrack, mediaBed } from '../testing/media-bed.ts';
import { mediaTime } from '../testing/media-time.ts';

const DELAY_MS = 40;
const LOSS = 0.05;
const SECONDS = 60;
const FRAME_MS = 50;
const PACKETS_A_FRAME = 7;
/** As browsers do: a missing packet is asked for at once, then after every round trip. */
const ASK_AGAIN_MS = 2 * DELAY_MS + 20;
const ASK_TIMES = 10;

const time = mediaTime();
let seed = 1;
beforeEach(() => {
  seed = 1;
});

/** A path that delays, and loses at random. */
class Path {
  readonly #queue: { atMs: number; packet: Buffer }[] = [];

  send(packet: Buffer): void {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    if ((seed >>> 8) / 2 ** 24 >= LOSS) this.#queue.push({ atMs: time.nowMs + DELAY_MS, packet: Buffer.from(packet) });
  }

  take(): Buffer[] {
    const count = this.#queue.findIndex(({ atMs }) => atMs > time.nowMs);
    return this.#queue.splice(0, count < 0 ? this.#queue.length : count).map(({ packet }) => packet);
  }
}

/** A subscriber that asks for what is missing; keeps when the packet of a number came. */
class Viewer {
  readonly arrivedMs = new Map<number, number>();
  readonly missing = new Map<number, { askedMs: number; times: number }>();
  #highest = -1;

  receive(packet: Buffer): void {
    const view = new RtpView();
    if (isRtcp(packet) || !readRtp(packet, view)) return;
    const at = view.payloadStart + (view.payloadType === 121 ? 2 : 0);
    const sequence = view.payloadType === 121 ? readUint16(packet, view.payloadStart) : view.sequence;
    if (view.payloadEnd > at) this.arrivedMs.set(packet.readUInt32BE(at + 8), time.nowMs);
    this.missing.delete(sequence);
    if (this.#highest < 0) this.#highest = sequence;
    const ahead = sequenceDistance(this.#highest, sequence);
    for (let back = ahead - 1; back > 0; back--)
      this.missing.set((sequence - back) & 0xffff, { askedMs: Number.NEGATIVE_INFINITY, times: 0 });
    if (ahead > 0) this.#highest = sequence;
  }

  wishes(): number[] {
    const due: number[] = [];
    for (const [sequence, asked] of this.missing) {
      if (time.nowMs - asked.askedMs < ASK_AGAIN_MS || asked.times >= ASK_TIMES) continue;
      asked.askedMs = time.nowMs;
      asked.times++;
      due.push(sequence);
    }
    return due;
  }
}

test('with 5 % loss and 40 ms on all four ways every packet reaches the subscriber within half a second', () => {
  const { publication, uplink, subscribe } = mediaBed();
  const kept = new KeptTrack();
  const { subscription } = subscribe(96, 0, {
    track: kept,
    rtx: { ssrc: 7_777, firstSequence: 0 },
    rtxPayloadType: 121,
  });
  const [up, upControl, down, downControl] = [new Path(), new Path(), new Path(), new Path()];
  const viewer = new Viewer();
  const published: Buffer[] = [];
  const sentMs: number[] = [];
  for (let tick = 0; tick < SECONDS * 1_000; tick++) {
    time.nowMs++;
    if (tick % FRAME_MS === 0 && tick < (SECONDS - 2) * 1_000) {
      const frame = tick / FRAME_MS;
      for (let i = 0; i < PACKETS_A_FRAME; i++) {
        const packet = Buffer.alloc(12 + 1_000);
        packet.writeUInt16BE(0x8060 | (i === PACKETS_A_FRAME - 1 ? 0x80 : 0), 0);
        packet.writeUInt16BE(published.length & 0xffff, 2);
        packet.writeUInt32BE(frame * 4_500, 4);
        packet.writeUInt32BE(50, 8);
        packet.set(
          [i === 0 ? 0x90 : 0x80, 0xe0, 0x80 | ((frame >> 8) & 0x7f), frame & 255, frame & 255, 0, frame === 0 ? 0 : 1],
          12,
        );
        packet.writeUInt32BE(published.length, 20);
        published.push(packet);
        sentMs.push(time.nowMs);
        up.send(packet);
      }
    }
    for (const packet of up.take()) publication.receive(packet);
    if (tick % 50 === 0) {
      publication.tick(time.nowMs);
      subscription.tick(time.nowMs);
    }
    for (const packet of uplink.sent.splice(0)) upControl.send(packet);
    for (const control of upControl.take())
      for (const packet of parseRtcp(control))
        if (packet.type === 'nack')
          for (const sequence of packet.sequences) if (published[sequence]) up.send(published[sequence]);
    for (const packet of kept.sent.splice(0)) down.send(packet);
    for (const packet of down.take()) viewer.receive(packet);
    const wishes = viewer.wishes();
    if (wishes.length > 0) downControl.send(buildNack(1, subscription.ssrc, wishes));
    for (const packet of downControl.take()) kept.onPacket?.(packet);
  }
  const first = Math.min(...viewer.arrivedMs.keys());
  const delays = published
    .slice(first)
    .map((_packet, i) => (viewer.arrivedMs.get(first + i) ?? Number.POSITIVE_INFINITY) - (sentMs[first + i] as number));
  const late = delays.filter((delayMs) => delayMs > 500);
  expect(delays.length).toBeGreaterThan(8_000);
  expect(late).toEqual([]);
});
