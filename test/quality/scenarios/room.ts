import { setTimeout as delay } from 'node:timers/promises';
import { SyntheticPeer, UNITS } from '@orama/testkit';
import { residentKb } from '../../bench/machine.ts';
import type { Bed } from '../bed/bed.ts';
import { Caller, keyFramesEncodedOf } from '../bed/caller.ts';
import { heldMemory } from '../bed/held-memory.ts';
import { atMost, note, type Row, type Scenario } from './scenario.ts';

const SYNTHETIC = 10;
const COME_AND_GO_MS = 5_000;
/** Browsers bring sound and picture together in steps of a second. */
const SETTLE_MS = 15_000;
const IN_STEP_MS = 80;
const RETRY_MS = 1_000;
const MAX_ATTEMPTS = 20;
const ROOM = 'twelve';

/** Ten synthetic publishers, of whom one leaves and another comes every five seconds, and two browsers. */
export const room: Scenario = {
  name: 'room',
  title: 'A room of twelve: ten synthetic publishers that come and go, and two browsers',
  async run(bed, short) {
    const synthetic: SyntheticPeer[] = [];
    try {
      return await measure(bed, synthetic, short ? 24 : 120);
    } finally {
      await Promise.all(synthetic.map((peer) => peer.close()));
    }
  },
};

/** @param synthetic gets the publishers that are in the room */
async function measure(bed: Bed, synthetic: SyntheticPeer[], rounds: number): Promise<Row[]> {
  const [chromium, firefox] = await Promise.all([bed.browser(1, 'chromium'), bed.browser(2, 'firefox')]);
  let busy = 0;
  const onBusy = () => {
    busy++;
  };
  for (let i = 0; i < SYNTHETIC; i++) synthetic.push(await joinSynthetic(bed, i, onBusy));
  const ann = await Caller.join(chromium, bed.access, { room: ROOM, name: 'ann' });
  const fox = await Caller.join(firefox, bed.access, { room: ROOM, name: 'fox' });
  // Synthetic pictures cannot be decoded: the one that is shown comes from the other browser.
  await Promise.all([ann.sees(1), fox.sees(1)]);
  await delay(SETTLE_MS);
  const offsets: number[] = [];
  const sfu = sfuOf(bed);
  let heldAtFirst = 0;
  let mostMemory = 0;
  const keyFrames = keyFramesEncodedOf(await ann.read());
  const startedAt = performance.now();
  for (let round = 0; round < rounds; round++) {
    await delay(COME_AND_GO_MS - 1);
    for (const [caller, other] of [
      [ann, 'fox'],
      [fox, 'ann'],
    ] as const) {
      const offset = await lipSyncMs(caller, other);
      if (offset !== null) offsets.push(offset);
    }
    // The first rounds fill caches and pools.
    if (round === Math.floor(rounds / 5)) heldAtFirst = await heldMemory(sfu);
    mostMemory = Math.max(mostMemory, residentKb(sfu));
    await synthetic.shift()?.close();
    synthetic.push(await joinSynthetic(bed, SYNTHETIC + round, onBusy));
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const keyFramesPerSec = (keyFramesEncodedOf(await ann.read()) - keyFrames) / seconds;
  const growth = (await heldMemory(sfu)) / heldAtFirst - 1;
  await Promise.all([ann.close(), fox.close()]);
  const sorted = offsets.map(Math.abs).sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? Number.NaN);
  const within = sorted.filter((offset) => offset <= IN_STEP_MS).length;
  return [
    atMost(
      'audio against video of the other browser, worst',
      sorted.at(-1) ?? Number.POSITIVE_INFINITY,
      IN_STEP_MS,
      'ms',
    ),
    note(
      'the same: readings, median, 95th percentile, within the mark',
      `${sorted.length}, ${at(0.5)} ms, ${at(0.95)} ms, ${within}`,
    ),
    atMost('growth of what the SFU holds, after a fifth of the time and at the end', 100 * growth, 5, '%'),
    note('what it holds then, and its memory at most', `${mebibytes(heldAtFirst)}, ${mebibytes(mostMemory)}`),
    atMost('key frames of a browser', keyFramesPerSec, 1, 'a second'),
    note('length, rounds of leaving and joining', `${Math.round(seconds)} s, ${rounds}`),
    note('joins turned away because the SFU was busy, and tried again', `${busy}`),
  ];
}

/** Joins as clients do: who is turned away for lack of capacity tries again. */
async function joinSynthetic(bed: Bed, number: number, onBusy: () => void): Promise<SyntheticPeer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await joinAtOnce(bed, number);
    } catch (thrown) {
      if (attempt === MAX_ATTEMPTS || !(thrown instanceof Error && thrown.message.includes('capacity'))) throw thrown;
      onBusy();
      await delay(RETRY_MS);
    }
  }
}

/** One that publishes and takes nothing: what it would receive costs this machine more than the room. */
async function joinAtOnce(bed: Bed, number: number): Promise<SyntheticPeer> {
  const peer = await SyntheticPeer.join({
    ...bed.cluster.signalling(bed.access),
    room: ROOM,
    name: `synthetic ${number}`,
    transport: 'udp',
    localAddress: `${bed.cluster.prefix}.9.${(number % 250) + 1}`,
  });
  const { signalling, peerId } = peer;
  let refused = 0;
  const refuse = () => {
    for (; refused < signalling.frames.length; refused++) {
      const frame = signalling.frames[refused];
      if (frame?.type === 'track-added' && frame.peerId !== peerId)
        signalling.send({ type: 'subscribe', trackId: frame.trackId, enabled: false });
    }
  };
  signalling.onFrame(refuse);
  refuse();
  return peer;
}

/** How far audio plays ahead of video of one sender, in ms; null while the browser does not know. */
async function lipSyncMs(caller: Caller, other: string): Promise<number | null> {
  const inbound = (await caller.read()).inbound.filter(({ from }) => from === other);
  const playoutMs = (of: 'audio' | 'video') => inbound.find(({ kind }) => kind === of)?.playoutMs || null;
  const [audio, video] = [playoutMs('audio'), playoutMs('video')];
  return audio === null || video === null ? null : audio - video;
}

/** The process that holds the room: the SFU that has grown most. */
function sfuOf(bed: Bed): number {
  const pids = bed.cluster.state.nodes.flatMap((_node, i) =>
    bed.cluster
      .services(i + 1)
      .filter(({ unit }) => unit === UNITS.sfu(bed.access.name))
      .map(({ pid }) => pid),
  );
  return pids.reduce((largest, pid) => (residentKb(pid) > residentKb(largest) ? pid : largest));
}

function mebibytes(kilobytes: number): string {
  return `${Math.round(kilobytes / 2 ** 10)} MiB`;
}
