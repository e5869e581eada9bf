import { type Sample, spreadOf } from '../samples.ts';
import { cell, type Format, micros, percent, ratio, table, thousands, whole } from '../tables.ts';
import { ALLOCATIONS, BURSTS, CLIENTS, FLOWS, LOSS_MAX, RATES, SIZES } from './measure.ts';

const OURS = 'orama';
const THEIRS = 'coturn';

export interface ReportInput {
  samples: readonly Sample[];
  /** What each engine is, by name, in the order of the columns. */
  engines: ReadonlyMap<string, string>;
  machine: string;
  /** Server and load generator had the highest priority. */
  priority: boolean;
  /** ISO date. */
  date: string;
}

/** How many rounds the samples are of. */
export function roundsIn(samples: readonly Sample[]): number {
  return Math.max(0, ...[OURS, THEIRS].map((name) => spreadOf(samples, name, 'calibrationCpuUs')?.count ?? 0));
}

/** The whole report as Markdown, readable on a terminal as it is. */
export function renderReport(input: ReportInput): string {
  const { samples, engines, machine, priority, date } = input;
  const names = [...engines.keys()];
  const rows = (metrics: [label: string, metric: string, format: Format][]) =>
    metrics.map(([label, metric, format]) => [label, ...names.map((name) => cell(samples, name, metric, format))]);

  const cpu: [string, string, Format][] = [
    ...FLOWS.flatMap((flow) => SIZES.map((size) => `${flow} ${size} at ${RATES.all}`)),
    ...['channel-up', 'channel-down'].map((flow) => `${flow} 1200 at ${RATES.high}`),
  ].map((name) => [name, `cpuUs ${name}`, micros]);
  const loss: [string, string, Format][] = cpu.map(([name]) => [name, `loss ${name}`, percent]);

  return [
    '# TURN benchmark',
    `Made by \`pnpm bench turn\` on ${date}: ${roundsIn(samples)} alternated rounds, median (least–greatest).`,
    `Machine: ${machine}. The server has core 0 to itself as far as others let it, the load generator core 1.${priority ? ' Both ran under SCHED_RR with turns of 1 ms, before every other process (--priority).' : ''}`,
    [...engines].map(([name, description]) => `- **${name}**: ${description}`).join('\n'),
    `"up" is client to peer, "down" peer to client; "channel" is ChannelData, "send"/"data" are indications. ${CLIENTS} allocations, each with a peer of its own, packets one by one in turn.`,
    '## Processor time for a relayed packet, µs',
    'All threads of the server process (`/proc/<pid>/task/*/schedstat`) by packets that arrived. The kernel’s delivery to the receiving socket is in it.',
    table(['flow, bytes, packets/s', ...names, `${OURS} / ${THEIRS}`], withRatio(rows(cpu), cpu, samples)),
    '## Loss at those rates',
    table(['flow, bytes, packets/s', ...names], rows(loss)),
    `## Most packets a second with less than ${LOSS_MAX * 100} % loss, 1200 bytes`,
    '"both cores": server and load generator share both cores, nothing is pinned; a client sends one packet, or a burst of equal ones in one system call (UDP_SEGMENT), which arrive one by one and cost the load generator less of the cores. 10,000 packets/s is the step.',
    table(
      ['', ...names],
      rows([
        ['channel-up', 'most packets/s channel-up', thousands],
        ['channel-down', 'most packets/s channel-down', thousands],
        ...BURSTS.flatMap((burst) =>
          ['channel-up', 'channel-down'].map((flow): [string, string, Format] => {
            const label = `${flow}, both cores, ${burst === 1 ? 'one by one' : `bursts of ${burst}`}`;
            return [label, `most packets/s ${flow}, both cores, bursts of ${burst}`, thousands];
          }),
        ),
      ]),
    ),
    '## Added delay, µs',
    'From just before the send to the kernel’s receive timestamp at the far socket, at half of coturn’s most packets/s; "direct" is the same without a server. "p99" is that of all packets of a round. When the machine stalls a core for more than 1 % of the time (see Noise), it shows that and no server; "p99, middle window" is the median of the p99s of each tenth of a second, most of which no stall falls into.',
    table(
      ['', ...names],
      rows([
        ['packets/s', 'delay rate', thousands],
        ...['direct', 'channel-up', 'channel-down'].flatMap((flow): [string, string, Format][] => [
          [`${flow} p50`, `p50Us ${flow}`, micros],
          [`${flow} p99`, `p99Us ${flow}`, micros],
          [`${flow} p99, middle window`, `windowP99Us ${flow}`, micros],
        ]),
      ]),
    ),
    '## Allocations',
    'Allocate, 401, Allocate, ChannelBind. Memory is the resident size of the process on a server that has just started.',
    table(
      ['', ...names],
      [
        ...rows([['CPU µs each', 'cpuUs/allocation', whole]]),
        ['each second and core', ...names.map((name) => perSecond(samples, name))],
        ...rows([
          ['seen each second', 'allocations/s seen', whole],
          [`memory each of the first ${ALLOCATIONS}, kB`, 'kB/allocation', micros],
          [`memory each of the next ${ALLOCATIONS}, kB`, 'kB/next allocation', micros],
          ['memory without any, kB', 'base kB', whole],
        ]),
      ],
    ),
    '## Noise',
    'A fixed piece of work on core 0 before each server: its processor time says how even the core runs, its wall time what others took. Stalls: the share of a second in which a loop that only reads the clock on core 0 found itself stopped for 0.1 ms and longer. Others’ share: what the core did that was not the server.',
    table(
      ['', ...names],
      rows([
        ['calibration, CPU µs', 'calibrationCpuUs', whole],
        ['calibration, wall µs', 'calibrationWallUs', whole],
        ['stalls of core 0', 'stalled share of the core', percent],
        ['others’ share of core 0', 'others’ share of the core', percent],
        ['load generator, CPU µs/packet', 'load cpuUs', micros],
      ]),
    ),
  ].join('\n\n');
}

function perSecond(samples: readonly Sample[], engine: string): string {
  const spread = spreadOf(samples, engine, 'cpuUs/allocation');
  return spread === undefined ? '-' : whole(1e6 / spread.median);
}

function withRatio(rows: string[][], metrics: [string, string, Format][], samples: readonly Sample[]): string[][] {
  return rows.map((row, i) => [...row, ratio(samples, metrics[i]?.[1] as string, OURS, THEIRS)]);
}
