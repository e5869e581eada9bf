import { describeError, toOramaError } from '@orama/core';
import type { Browser } from 'playwright-core';
import { pause } from '../wait.ts';
import { Caller, type PageStats } from './caller.ts';

const CONNECT_TIMEOUT_MS = 30_000;
const JOIN_TIMEOUT_MS = 15_000;
const SAMPLE_MS = 5_000;
/**
 * Most joins are to see video within this: one second that every join lost, as a lost DTLS flight costs, would show.
 * A single slow one may be the machine's.
 */
const JOIN_MEDIAN_LIMIT_MS = 1_000;
const JOIN_WORST_LIMIT_MS = 5_000;
/** A page that leaves is to disappear from the others within this. */
const LEAVE_MEDIAN_LIMIT_MS = 1_000;

/** What one page received of another one during the sample. */
export interface Received {
  page: string;
  from: string;
  framesDecoded: number;
  width: number;
  height: number;
  framesPerSecond: number;
  bitrateBps: number;
  /** Rise of `totalAudioEnergy`. */
  audioEnergy: number;
  /** `relay/udp to 127.77.0.2:20000`: own candidate type, transport to the TURN server, address and port of the SFU. */
  pair: string;
  rttMs: number | null;
}

/** Milliseconds, one for each time. */
export interface Times {
  count: number;
  medianMs: number;
  worstMs: number;
  allMs: number[];
}

/** Watches two callers for a few seconds; both must be in the call already. */
export async function measureReceived(callers: [Caller, Caller], signal: AbortSignal): Promise<Received[]> {
  const hears = (stats: PageStats) =>
    stats.pair != null &&
    stats.participants.some(
      ({ video, audio }) => (video?.framesDecoded ?? 0) > 0 && (audio?.totalAudioEnergy ?? 0) > 0,
    );
  const before = await Promise.all(
    callers.map((caller) => caller.waitFor('picture and sound of the other', hears, CONNECT_TIMEOUT_MS, signal)),
  );
  await pause(SAMPLE_MS, signal);
  return (
    await Promise.all(
      callers.map(async (caller, index) => {
        const after = await caller.waitFor('its numbers', () => true, CONNECT_TIMEOUT_MS, signal);
        return compare(caller.name, before[index] as PageStats, after);
      }),
    )
  ).flat();
}

function compare(page: string, before: PageStats, after: PageStats): Received[] {
  return after.participants.map((now) => {
    const then = before.participants.find(({ name }) => name === now.name);
    return {
      page,
      from: now.name,
      framesDecoded: (now.video?.framesDecoded ?? 0) - (then?.video?.framesDecoded ?? 0),
      width: now.video?.width ?? 0,
      height: now.video?.height ?? 0,
      framesPerSecond: now.video?.framesPerSecond ?? 0,
      bitrateBps: Math.round(now.video?.bitrateBps ?? 0),
      audioEnergy: (now.audio?.totalAudioEnergy ?? 0) - (then?.audio?.totalAudioEnergy ?? 0),
      pair: after.pair
        ? `${after.pair.localType}/${after.pair.protocol} to ${after.pair.remoteAddress ?? '?'}`
        : 'none',
      rttMs: after.pair?.rttMs ?? null,
    };
  });
}

/**
 * What is wrong with what the pages received, in words; empty when nothing is.
 * @param sfuAddresses where the namespace's SFUs are
 */
export function judgeReceived(received: Received[], sfuAddresses: readonly string[]): string[] {
  const problems = received.flatMap((row) => {
    const wrong: string[] = [];
    if (row.framesDecoded <= 0) wrong.push('decoded no frame');
    if (row.width <= 0 || row.height <= 0) wrong.push('has no picture size');
    if (row.audioEnergy <= 0) wrong.push('heard nothing');
    if (!row.pair.startsWith('relay/')) wrong.push(`is not connected through TURN (${row.pair})`);
    else if (!sfuAddresses.some((address) => row.pair.includes(` to ${address}:`)))
      wrong.push(`is not connected to an SFU of the namespace (${row.pair})`);
    return wrong.map((what) => `${row.page} ${what} from ${row.from}`);
  });
  if (received.length !== 2) problems.push(`the two pages see ${received.length} others instead of 2`);
  return problems;
}

/**
 * Joins again and again with a fresh page while `watcher` stays in the call. For each join: the time until it decoded
 * a frame of somebody else, and the time from its leaving until the watcher saw it gone. Ends early at a join that
 * does not come about, with why in `failure`.
 */
export async function measureJoins(options: {
  browser: Browser;
  url: string;
  watcher: Caller;
  count: number;
  signal: AbortSignal;
  onProgress: (text: string) => void;
}): Promise<{ joins: Times; leaves: Times; failure: string | undefined }> {
  const { browser, url, watcher, count, signal } = options;
  const joins: number[] = [];
  const leaves: number[] = [];
  let failure: string | undefined;
  for (let index = 1; index <= count && failure === undefined; index++) {
    options.onProgress(`join ${index} of ${count}`);
    try {
      const caller = await Caller.join(browser, url, `guest-${index}`);
      const joined = (stats: PageStats) => stats.timings.joinToFirstFrameMs != null;
      const stats = await caller.waitFor('a first frame', joined, JOIN_TIMEOUT_MS, signal);
      joins.push(stats.timings.joinToFirstFrameMs as number);
      const leftAt = performance.now();
      await caller.close();
      const isGone = ({ participants }: PageStats) => participants.every(({ name }) => name !== caller.name);
      await watcher.waitFor(`${caller.name} to be gone`, isGone, JOIN_TIMEOUT_MS, signal);
      leaves.push(performance.now() - leftAt);
    } catch (thrown) {
      if (toOramaError(thrown).code !== 'TIMEOUT') throw thrown;
      failure = describeError(thrown);
    }
  }
  return { joins: summarize(joins), leaves: summarize(leaves), failure };
}

/** What is wrong with the joins and leaves, in words; empty when nothing is. */
export function judgeTimes(joins: Times, leaves: Times): string[] {
  const limits: [what: string, ms: number, limitMs: number][] = [
    ['half of the joins take', joins.medianMs, JOIN_MEDIAN_LIMIT_MS],
    ['the slowest join took', joins.worstMs, JOIN_WORST_LIMIT_MS],
    ['half of the leaves take', leaves.medianMs, LEAVE_MEDIAN_LIMIT_MS],
  ];
  return limits
    .filter(([, ms, limitMs]) => ms > limitMs)
    .map(([what, ms, limitMs]) => `${what} ${ms} ms or more; at most ${limitMs} ms are right`);
}

export function summarize(timesMs: number[]): Times {
  const sorted = timesMs.map(Math.round).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return {
    count: sorted.length,
    medianMs: Math.round(median ?? 0),
    worstMs: sorted.at(-1) ?? 0,
    allMs: timesMs.map(Math.round),
  };
}
