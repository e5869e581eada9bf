import { setTimeout as wait } from 'node:timers/promises';
import { coreBusyUs, cpuUs } from '../machine.ts';
import type { Durations } from '../rounds.ts';
import { mediaSent, SERVER_CORE } from './bed.ts';
import type { Clients, Room } from './clients.ts';
import type { RunningEngine } from './engine.ts';
import type { Part } from './part.ts';
import { MOST_OUT, PACKET_BYTES, type Scenario } from './scenarios.ts';
import { highestCarried } from './search.ts';

/** A rate is carried when less than this share is lost and half of the packets are not late. */
export const LOSS_MAX = 0.005;
export const LATE_MS = 5;
/** Clients that send less than this share of what they are told are what is measured, and no server. */
const SENT_MIN = 0.97;
/** Fewer delays say nothing of a p99. */
const DELAYS_MIN = 200;
/** Another try, because another process may have taken a core for a moment. */
const ATTEMPTS = 2;
/** The search begins with this share of what the processor time would allow. */
const GUESS = 0.9;
const THAW_MS = 300;
const LATE_PACKETS_MS = 50;
const DRAIN_MS = 100;
const DRAIN_ATTEMPTS = 50;

interface Forwarded {
  /** Of the whole server process, for each packet of media that it sent. */
  cpuUs: number;
  /** Share of the packets that should have gone out and did not. */
  loss: number;
  /** Share of the server's core that others had. */
  othersShare: number;
  /** Ascending, in milliseconds. */
  delays: number[];
  /** What the clients should have sent and did not: then nothing above counts. */
  fault?: string;
}

/** Processor time of a forwarded packet, how many are carried, and the delay at half of that. */
export function forwarding(scenario: Scenario, durations: Durations): Part {
  const { name, rooms, publishers, subscribers, outRate } = scenario;
  const [cpu, loss, most, p50, p99, others] = [
    `cpuUs ${name}`,
    `loss ${name}`,
    `most packets/s ${name}`,
    `p50 ms ${name}`,
    `p99 ms ${name}`,
    `others ${name}`,
  ];
  return {
    metrics: [cpu, loss, most, p50, p99],
    async run(server, clients, record) {
      await fill(clients, await clients.publish(rooms, publishers), subscribers);
      const run = (rate: number, durationMs: number) => forward(server, clients, rate, subscribers, durationMs);

      await run(outRate, durations.cellMs / 2);
      const cell = await attempt(() => run(outRate, durations.cellMs), isLossless);
      record.value(others, cell.othersShare);
      if (cell.fault) record.fault(loss, cell.fault);
      else record.value(loss, cell.loss);
      const cellFault = cell.fault ?? (isLossless(cell) ? undefined : lost(cell));
      if (cellFault) record.fault(cpu, cellFault);
      else record.value(cpu, cell.cpuUs);

      const failed: { rate: number; fault: string | undefined }[] = [];
      const carried = async (rate: number) => {
        const result = await attempt(() => run(rate, durations.stepMs), isCarried);
        if (isCarried(result)) return true;
        failed.push({ rate, fault: result.fault });
        await drained();
        return false;
      };
      const best = await highestCarried(carried, (GUESS * 1e6) / cell.cpuUs, MOST_OUT);
      const limit = failed.sort((a, b) => a.rate - b.rate)[0]?.fault;
      if (limit !== undefined) record.fault(most, `${best} packets/s or more: ${limit}`);
      else if (best === 0) record.fault(most, 'not even the least was carried');
      else record.value(most, best);
      if (best === 0) {
        for (const metric of [p50, p99]) record.fault(metric, 'nothing was carried that it could be half of');
        return;
      }

      const half = await attempt(() => run(best / 2, durations.delayMs), isTelling);
      const delayFault = half.fault ?? (isTelling(half) ? undefined : `${lost(half)}, ${half.delays.length} delays`);
      for (const [metric, share] of [
        [p50, 0.5],
        [p99, 0.99],
      ] as const) {
        if (delayFault) record.fault(metric, delayFault);
        else record.value(metric, half.delays[Math.floor(half.delays.length * share)] as number);
      }
    },
  };
}

const isLossless = ({ loss, fault }: Forwarded) => fault === undefined && loss < LOSS_MAX;
const isCarried = (result: Forwarded) => isLossless(result) && middle(result.delays) < LATE_MS;
const isTelling = (result: Forwarded) => isLossless(result) && result.delays.length >= DELAYS_MIN;
const lost = ({ loss }: Forwarded) => `${(loss * 100).toFixed(1)} % lost`;
const middle = (delays: readonly number[]) => delays[delays.length >> 1] ?? Number.POSITIVE_INFINITY;

/** Those whose packets are looked at are the first and the last that joined: an SFU serves one before the other. */
async function fill(clients: Clients, rooms: readonly Room[], subscribers: number): Promise<void> {
  const seats = rooms.flatMap((room) => Array<Room>(subscribers).fill(room));
  for (const [via, taken] of [
    [clients.probe, seats.slice(0, 1)],
    [clients.crowd, seats.slice(1, -1)],
    [clients.probe, seats.slice(-1)],
  ] as const)
    await clients.whileSending(subscribers, clients.watch(via, { rooms: taken, media: true }));
}

async function attempt(run: () => Promise<Forwarded>, isGood: (result: Forwarded) => boolean): Promise<Forwarded> {
  let result = await run();
  for (let attempts = 1; attempts < ATTEMPTS && !isGood(result); attempts++) {
    await drained();
    result = await run();
  }
  return result;
}

/** Sends at a rate that makes `outRate` packets a second go out, and looks at what the server did. */
async function forward(
  { pid }: RunningEngine,
  { senders, probe, crowd }: Clients,
  outRate: number,
  fanOut: number,
  durationMs: number,
): Promise<Forwarded> {
  // Stopped only while it counts: an SFU restarts ICE with clients that are silent for long.
  crowd.thaw();
  await wait(THAW_MS);
  crowd.freeze();
  await probe.call('take');
  const before = { out: mediaSent(), cpuUs: cpuUs(pid), busyUs: coreBusyUs(SERVER_CORE) };
  const rate = outRate / fanOut;
  const { sent, lastedMs } = await senders.call('send', { rate, durationMs, size: PACKET_BYTES });
  // What still waits inside the server is late, and shows in the delays.
  await wait(LATE_PACKETS_MS);
  const usedUs = cpuUs(pid) - before.cpuUs;
  const othersUs = coreBusyUs(SERVER_CORE) - before.busyUs - usedUs;
  const out = mediaSent() - before.out;
  const sentRate = (sent / lastedMs) * 1000;
  return {
    cpuUs: usedUs / out,
    loss: Math.max(0, 1 - out / (sent * fanOut)),
    othersShare: Math.max(0, othersUs / 1000 / (lastedMs + LATE_PACKETS_MS)),
    delays: (await probe.call('take')).delays,
    ...(sentRate < rate * SENT_MIN
      ? { fault: `the clients sent ${Math.round(sentRate)} instead of ${Math.round(rate)} packets/s` }
      : {}),
  };
}

/** Resolves when a server that was given too much has sent what it still had, or has had some seconds for it. */
async function drained(): Promise<void> {
  for (let before = mediaSent(), attempts = 0; attempts < DRAIN_ATTEMPTS; attempts++) {
    await wait(DRAIN_MS);
    const now = mediaSent();
    if (now === before) return;
    before = now;
  }
}
