import { setTimeout as wait } from 'node:timers/promises';
import { coreBusyUs, residentKb } from '../machine.ts';
import type { Durations } from '../rounds.ts';
import type { Sample } from '../samples.ts';
import { type Engine, placement, type RunningEngine } from './engine.ts';
import { type Flow, LoadGenerator, type Traffic, type TrafficResult } from './load-generator.ts';

const SERVER_CORE = 0;
const LOAD_CORE = 1;
export const CLIENTS = 50;
export const FLOWS: readonly Flow[] = ['channel-up', 'channel-down', 'send-up', 'data-down'];
export const SIZES = [1200, 160];
/** Packets a second of the processor time tables. */
export const RATES = { all: 40_000, high: 80_000 };
/** A rate is carried when less than this share of the packets is lost. */
export const LOSS_MAX = 0.005;
/** Allocations made and ended before memory is looked at. */
const FIRST_ALLOCATIONS = 100;
const SETTLE_MS = 1500;
export const ALLOCATIONS = 3000;
const SEARCH = { from: 100_000, step: 50_000, precision: 10_000, to: 400_000 };
/** Packets that a client sends at once, where server and load share both cores. */
export const BURSTS = [1, 4];

/** What can be measured by itself, in the order of a round. */
export const PARTS = ['allocations', 'cpu', 'most', 'delay', 'both-cores'] as const;
export type Part = (typeof PARTS)[number];

export const FULL: Durations = { cellMs: 1500, stepMs: 800, delayMs: 3000 };
export const QUICK: Durations = { cellMs: 300, stepMs: 300, delayMs: 500 };

export interface Round {
  engine: Engine;
  /** The compiled load generator. */
  program: string;
  directory: string;
  /** Runs server and load generator before every other process of their cores (SCHED_RR); needs root. */
  priority: boolean;
  durations: Durations;
  parts: ReadonlySet<Part>;
  record: (sample: Sample) => void;
}

/** One server on one core, the load on the other: allocations, processor time, most packets, and delay at `delayRate`. */
export async function measureOnOneCore(round: Round, delayRate: () => number): Promise<void> {
  const { parts, durations } = round;
  await withServer(round, String(SERVER_CORE), String(LOAD_CORE), async (server, load, record) => {
    const { wallUs, cpuUs, stalledShare } = await load.calibrate(SERVER_CORE);
    record('calibrationCpuUs', cpuUs);
    record('calibrationWallUs', wallUs);
    record('stalled share of the core', stalledShare);
    if (parts.has('allocations')) await measureAllocations(server, load, record);
    await load.open(CLIENTS, true);
    await warmUp(durations, load);
    if (parts.has('cpu')) await measureTraffic(durations, load, record);
    if (parts.has('most')) {
      for (const flow of ['channel-up', 'channel-down'] as const) {
        record(`most packets/s ${flow}`, await mostPackets(load, flow, 1, durations.stepMs));
      }
    }
    if (parts.has('delay')) await measureDelay(durations, load, delayRate(), record);
  });
}

async function measureDelay({ delayMs }: Durations, load: LoadGenerator, rate: number, record: Record): Promise<void> {
  if (rate === 0) return;
  for (const flow of ['direct', 'channel-up', 'channel-down'] as const) {
    const result = await relay(load, { flow, size: 1200, rate, burst: 1, durationMs: delayMs, delay: true });
    record(`p50Us ${flow}`, result.p50Us);
    record(`p99Us ${flow}`, result.p99Us);
    record(`windowP99Us ${flow}`, result.windowP99Us);
    record('delay rate', rate);
  }
}

/** Server and load share both cores, as they would where nothing is pinned. */
export async function measureOnBothCores(round: Round): Promise<void> {
  const cores = `${SERVER_CORE},${LOAD_CORE}`;
  await withServer(round, cores, cores, async (_server, load, record) => {
    await load.open(CLIENTS, true);
    for (const burst of BURSTS) {
      for (const flow of ['channel-up', 'channel-down'] as const) {
        const most = await mostPackets(load, flow, burst, round.durations.stepMs);
        record(`most packets/s ${flow}, both cores, bursts of ${burst}`, most);
      }
    }
  });
}

type Record = (metric: string, value: number) => void;

async function withServer(
  { engine, program, directory, priority, record }: Round,
  serverCores: string,
  loadCores: string,
  measure: (server: RunningEngine, load: LoadGenerator, record: Record) => Promise<void>,
): Promise<void> {
  const server = await engine.start(placement(serverCores, priority), directory);
  const load = new LoadGenerator(placement(loadCores, priority), program, server.pid);
  try {
    await measure(server, load, (metric, value) => record({ engine: engine.name, metric, value }));
  } finally {
    load.stop();
    await server.stop();
  }
}

/** Memory on a server that is still young, then processor time on one that has seen thousands of allocations. */
async function measureAllocations(server: RunningEngine, load: LoadGenerator, record: Record): Promise<void> {
  await load.open(FIRST_ALLOCATIONS, false);
  await endAll(load);
  const before = residentKb(server.pid);
  record('base kB', before);
  await load.open(ALLOCATIONS, false);
  await wait(SETTLE_MS);
  const between = residentKb(server.pid);
  record('kB/allocation', (between - before) / ALLOCATIONS);
  // A heap that grows in steps has grown by now: these show what one more allocation takes.
  await load.open(ALLOCATIONS, false);
  await wait(SETTLE_MS);
  record('kB/next allocation', (residentKb(server.pid) - between) / ALLOCATIONS);
  await endAll(load);
  const { count, serverCpuUs, wallMs } = await load.open(ALLOCATIONS, false);
  record('cpuUs/allocation', serverCpuUs / count);
  record('allocations/s seen', (count / wallMs) * 1000);
  await endAll(load);
}

/** Some servers end an allocation a little after they have said so. */
async function endAll(load: LoadGenerator): Promise<void> {
  await load.closeAll();
  await wait(SETTLE_MS);
}

/** What has been compiled, and is in caches, before anything of the packet path is measured. */
async function warmUp({ cellMs }: Durations, load: LoadGenerator): Promise<void> {
  for (const flow of FLOWS)
    await relay(load, { flow, size: 1200, rate: RATES.all, burst: 1, durationMs: cellMs / 3, delay: false });
}

async function measureTraffic({ cellMs }: Durations, load: LoadGenerator, record: Record): Promise<void> {
  const cells = [
    ...FLOWS.flatMap((flow) => SIZES.map((size) => ({ flow, size, rate: RATES.all }))),
    ...(['channel-up', 'channel-down'] as const).map((flow) => ({ flow, size: 1200, rate: RATES.high })),
  ];
  for (const { flow, size, rate } of cells) {
    const busyBefore = coreBusyUs(SERVER_CORE);
    const result = await relay(load, { flow, size, rate, burst: 1, durationMs: cellMs, delay: false });
    const others = coreBusyUs(SERVER_CORE) - busyBefore - result.serverCpuUs;
    const name = `${flow} ${size} at ${rate}`;
    record(`cpuUs ${name}`, result.serverCpuUs / result.received);
    record(`loss ${name}`, lossOf(result));
    record('others’ share of the core', Math.max(0, others / 1000 / result.wallMs));
    record('load cpuUs', result.ownCpuUs / result.sent);
  }
}

/** The highest rate, in steps of 10,000 packets/s, that is carried; what the generator itself can send is its end. */
async function mostPackets(load: LoadGenerator, flow: Flow, burst: number, stepMs: number): Promise<number> {
  const carried = async (rate: number) => {
    // A second try, because another process may have taken the core for a moment.
    for (let attempt = 0; attempt < 2; attempt++) {
      const result = await relay(load, { flow, size: 1200, rate, burst, durationMs: stepMs, delay: false });
      if (lossOf(result) < LOSS_MAX && result.skipped < result.sent * LOSS_MAX) return true;
    }
    return false;
  };
  let [best, failed] = [0, SEARCH.from];
  while (failed <= SEARCH.to && (await carried(failed))) {
    best = failed;
    failed += SEARCH.step;
  }
  while (failed - best > SEARCH.precision) {
    const middle = Math.ceil((best + failed) / 2 / SEARCH.precision) * SEARCH.precision;
    if (await carried(middle)) best = middle;
    else failed = middle;
  }
  return best;
}

function lossOf({ sent, received }: TrafficResult): number {
  return 1 - received / sent;
}

/** Runs traffic, and fails when what arrives is nothing, not what was sent, or lost by the generator itself. */
async function relay(load: LoadGenerator, traffic: Traffic): Promise<TrafficResult> {
  const result = await load.run({ ...traffic, durationMs: Math.round(traffic.durationMs) });
  const { sent, received, broken, ownDrops } = result;
  if (received === 0 || broken > 0 || ownDrops > sent * LOSS_MAX) {
    const counts = `${sent} sent, ${received} received, ${broken} not as sent, ${ownDrops} lost by the generator`;
    throw new Error(`${traffic.flow} of ${traffic.size} bytes at ${traffic.rate}/s was not relayed: ${counts}`);
  }
  return result;
}
