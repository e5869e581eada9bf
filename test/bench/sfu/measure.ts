import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { residentKb } from '../machine.ts';
import type { Sample } from '../samples.ts';
import { datagramsOf, placedInBed } from './bed.ts';
import { ClientProcess } from './client/client-process.ts';
import type { Engine, RunningEngine } from './engine.ts';

const SERVER_CORE = 0;
const CLIENT_CORE = 1;
/** Whole RTP packets. */
export const PACKET_BYTES = 1200;
/** Subscribers of one publisher, and packets a second that go out for the table of processor time. */
export const FAN_OUTS = [
  { subscribers: 1, outRate: 20_000 },
  { subscribers: 5, outRate: 40_000 },
  { subscribers: 20, outRate: 40_000 },
  { subscribers: 50, outRate: 50_000 },
  { subscribers: 200, outRate: 50_000 },
];
/** Publishers that all watch each other. */
export const MESH = { peers: 20, outRate: 38_000 };
/** A rate is carried when less than this share is lost and half of the packets are not late. */
export const LOSS_MAX = 0.005;
export const LATE_MS = 5;
const SEARCH = { step: 20_000, precision: 10_000, to: 240_000 };
/** Subscribers of the memory and join figures. */
export const JOINS = 50;
/** At once, where joining is not what is measured. */
const FAN_OUT_JOINS = 25;
/** One after the other, for the time to the first packet. */
const SINGLE_JOINS = 10;
const WARM_UP = 10;
const TRICKLE_RATE = 50;
const TRICKLE_MS = 200;
const SETTLE_MS = 1_000;
const THAW_MS = 300;

/** How long each thing is measured; a whole round of three engines takes about five minutes. */
export interface Durations {
  cellMs: number;
  stepMs: number;
  delayMs: number;
}
export const FULL: Durations = { cellMs: 1_000, stepMs: 400, delayMs: 1_500 };
export const QUICK: Durations = { cellMs: 500, stepMs: 500, delayMs: 1_000 };

export interface Round {
  engine: Engine;
  directory: string;
  durations: Durations;
  record: (sample: Sample) => void;
}

/** One SFU on one core, all clients on the other. */
export async function measure({ engine, directory, durations, record: sample }: Round): Promise<void> {
  const record = (metric: string, value: number) => sample({ engine: engine.name, metric, value });
  const server = await engine.start(placedInBed(SERVER_CORE), directory);
  try {
    record('base kB', residentKb(server.pid));
    await withClients(server, (clients) => measureJoins(clients, record));
    for (const { subscribers, outRate } of FAN_OUTS)
      await withClients(server, (clients) => measureFanOut(clients, subscribers, outRate, durations, record));
    await withClients(server, (clients) => measureMesh(clients, durations, record));
  } finally {
    await server.stop();
  }
}

type Record = (metric: string, value: number) => void;

/** The clients of one room: who sends, one whose packets are looked at, and a crowd that is stopped while it is measured. */
interface Clients {
  server: RunningEngine;
  senders: ClientProcess;
  probe: ClientProcess;
  crowd: ClientProcess;
  room: string;
}

let rooms = 0;

async function withClients(server: RunningEngine, run: (clients: Clients) => Promise<void>): Promise<void> {
  const [senders, probe, crowd] = [
    new ClientProcess(CLIENT_CORE),
    new ClientProcess(CLIENT_CORE),
    new ClientProcess(CLIENT_CORE),
  ];
  try {
    await run({ server, senders, probe, crowd, room: `room-${++rooms}` });
    crowd.thaw();
    for (const clients of [senders, probe, crowd]) await clients.call('leave');
  } finally {
    for (const clients of [senders, probe, crowd]) await clients.end();
    await server.settled();
  }
}

/** Memory and processor time of subscribers, and how soon they are connected and see the first packet. */
async function measureJoins({ server, senders, probe, crowd, room }: Clients, record: Record): Promise<void> {
  const feeds = await publish(senders, server, room, 1);
  const watch = { target: server.target, room, publish: false, feeds };
  // The first of a kind costs what all share: code that is compiled, tables that grow.
  await whileSending(senders, 1, probe.call('join', { ...watch, first: 100, count: WARM_UP, media: true }));
  const beforeKb = residentKb(server.pid);
  const beforeUs = cpuUs(server.pid);
  const { wallMs } = await crowd.call('join', { ...watch, first: 200, count: JOINS, media: false });
  record('joins/s', (JOINS / wallMs) * 1000);
  record('cpuUs/join', (cpuUs(server.pid) - beforeUs) / JOINS);
  await wait(SETTLE_MS);
  record('kB/subscriber', (residentKb(server.pid) - beforeKb) / JOINS);
  const firstPackets: number[] = [];
  for (let n = 0; n < SINGLE_JOINS; n++) {
    const joining = probe.call('join', { ...watch, first: 300 + n, count: 1, media: true });
    firstPackets.push(...(await whileSending(senders, 1, joining)).firstPacketMs);
  }
  firstPackets.sort((a, b) => a - b);
  record('first packet p50 ms', firstPackets[firstPackets.length >> 1] as number);
  record('first packet worst ms', firstPackets.at(-1) as number);
}

/** Sends a little from every publisher until something is done. */
async function whileSending<T>(senders: ClientProcess, publishers: number, done: Promise<T>): Promise<T> {
  let isDone = false;
  const finished = done.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    const rate = TRICKLE_RATE * publishers;
    await Promise.race([finished, senders.call('send', { rate, durationMs: TRICKLE_MS, size: PACKET_BYTES })]);
  }
  return finished;
}

async function measureFanOut(
  clients: Clients,
  subscribers: number,
  outRate: number,
  durations: Durations,
  record: Record,
): Promise<void> {
  const { server, senders, probe, crowd, room } = clients;
  const feeds = await publish(senders, server, room, 1);
  const watch = { target: server.target, room, publish: false, feeds, media: true, atOnce: FAN_OUT_JOINS };
  const joins = [probe.call('join', { ...watch, first: 100, count: 1 })];
  if (subscribers > 1) joins.push(crowd.call('join', { ...watch, first: 200, count: subscribers - 1 }));
  await whileSending(senders, 1, Promise.all(joins));
  const run = (rate: number, durationMs: number) => forward(clients, rate, subscribers, durationMs);
  await run(outRate, durations.cellMs / 2);
  const cell = await run(outRate, durations.cellMs);
  record(`cpuUs 1 to ${subscribers}`, cell.cpuUs);
  record(`loss 1 to ${subscribers}`, cell.loss);
  let best = 0;
  for (let rate = SEARCH.step; rate <= SEARCH.to; rate += SEARCH.step) {
    if (!(await carried(run, rate, durations.stepMs))) break;
    best = rate;
  }
  if (best + SEARCH.precision <= SEARCH.to && (await carried(run, best + SEARCH.precision, durations.stepMs)))
    best += SEARCH.precision;
  record(`most packets/s 1 to ${subscribers}`, best);
  if (best === 0) return;
  const { p50Ms, p99Ms } = await run(best / 2, durations.delayMs);
  record(`p50 ms 1 to ${subscribers}`, p50Ms);
  record(`p99 ms 1 to ${subscribers}`, p99Ms);
}

async function carried(
  run: (rate: number, durationMs: number) => Promise<Forwarded>,
  rate: number,
  stepMs: number,
): Promise<boolean> {
  // A second try, because another process may have taken the core for a moment.
  for (let attempt = 0; attempt < 2; attempt++) {
    const { loss, p50Ms } = await run(rate, stepMs);
    if (loss < LOSS_MAX && p50Ms < LATE_MS) return true;
  }
  return false;
}

/** Everybody sends to everybody. */
async function measureMesh(clients: Clients, { cellMs }: Durations, record: Record): Promise<void> {
  const { server, senders, crowd, room } = clients;
  const name = `${MESH.peers} to ${MESH.peers}`;
  const isOurs = server.target.kind === 'orama';
  const all = { target: server.target, room, first: 0, count: MESH.peers, media: false };
  // Our clients send and watch over one connection; Janus wants one more for watching.
  const { feeds } = await senders.call('join', { ...all, publish: true, feeds: isOurs ? [] : null });
  const watching: Promise<unknown> = isOurs
    ? wait(SETTLE_MS * 3)
    : crowd.call('join', { ...all, first: 500, publish: false, feeds });
  await whileSending(senders, MESH.peers, watching);
  const others = isOurs ? MESH.peers - 1 : MESH.peers;
  await forward(clients, MESH.outRate, others, cellMs / 2);
  const { cpuUs, loss } = await forward(clients, MESH.outRate, others, cellMs);
  record(`cpuUs ${name}`, cpuUs);
  record(`loss ${name}`, loss);
}

async function publish(
  senders: ClientProcess,
  { target }: RunningEngine,
  room: string,
  count: number,
): Promise<number[]> {
  return (await senders.call('join', { target, room, first: 0, count, publish: true, feeds: null, media: false }))
    .feeds;
}

interface Forwarded {
  /** Of the whole server process, for each packet that it sent. */
  cpuUs: number;
  /** Share of the packets that should have gone out and did not. */
  loss: number;
  p50Ms: number;
  p99Ms: number;
}

/** Sends at a rate that makes `outRate` packets a second go out, and looks at what the server did. */
async function forward(
  { server, senders, probe, crowd }: Clients,
  outRate: number,
  fanOut: number,
  durationMs: number,
): Promise<Forwarded> {
  // Stopped only while it counts: an SFU restarts ICE with clients that are silent for long.
  crowd.thaw();
  await wait(THAW_MS);
  crowd.freeze();
  await probe.call('take');
  const before = { cpuUs: cpuUs(server.pid), ...datagramsOf(server.pid) };
  const sent = await senders.call('send', { rate: outRate / fanOut, durationMs, size: PACKET_BYTES });
  // What still waits inside the server is late, and shows in the delays.
  await wait(50);
  const after = { cpuUs: cpuUs(server.pid), ...datagramsOf(server.pid) };
  const { delays } = await probe.call('take');
  const out = after.sent - before.sent;
  return {
    cpuUs: (after.cpuUs - before.cpuUs) / out,
    loss: Math.max(0, 1 - out / (sent * fanOut)),
    p50Ms: delays[delays.length >> 1] ?? 0,
    p99Ms: delays[Math.floor(delays.length * 0.99)] ?? 0,
  };
}

/** Processor time of all threads of a process so far. */
function cpuUs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    try {
      return sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000;
    } catch {
      // The thread ended meanwhile.
      return sum;
    }
  }, 0);
}
