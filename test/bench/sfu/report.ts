import { type Sample, spreadOf } from '../samples.ts';
import { cell, type Format, micros, percent, table, thousands, whole } from '../tables.ts';
import { FAN_OUTS, FULL, JOINS, LATE_MS, LOSS_MAX, MESH, PACKET_BYTES } from './measure.ts';

const OURS = 'orama';

export interface ReportInput {
  samples: readonly Sample[];
  /** What each engine is, by name, in the order of the columns. */
  engines: ReadonlyMap<string, string>;
  machine: string;
  /** ISO date. */
  date: string;
}

const MESH_NAME = `${MESH.peers} to ${MESH.peers}`;
const fanOut = (subscribers: number) => `1 to ${subscribers}`;

/** The whole report as Markdown, readable on a terminal as it is. */
export function renderReport({ samples, engines, machine, date }: ReportInput): string {
  const names = [...engines.keys()];
  const others = names.filter((name) => name !== OURS);
  const rounds = Math.max(...names.map((name) => spreadOf(samples, name, 'base kB')?.count ?? 0));
  const rows = (metrics: [label: string, metric: string, format: Format][]) =>
    metrics.map(([label, metric, format]) => [label, ...names.map((name) => cell(samples, name, metric, format))]);
  const compared = (metrics: [label: string, metric: string, format: Format][]) =>
    rows(metrics).map((row, i) => [...row, ...others.map((other) => ratio(samples, metrics[i]?.[1] as string, other))]);
  const heads = ['', ...names, ...others.map((other) => `${OURS} / ${other}`)];
  const rates = [
    ...FAN_OUTS.map(({ subscribers, outRate }) => [fanOut(subscribers), outRate] as const),
    [MESH_NAME, MESH.outRate] as const,
  ];

  return [
    '# SFU benchmark',
    `Made by \`pnpm bench sfu\` on ${date}: ${rounds} alternated rounds, median (least–greatest).`,
    `Machine: ${machine}. The server has core 0 to itself as far as others let it and a network namespace of its own behind a veth pair; all clients are on core 1.`,
    [...engines].map(([name, description]) => `- **${name}**: ${description}`).join('\n'),
    `The same libdatachannel clients and packets for all: VP8, ${PACKET_BYTES} bytes of RTP, one picture a packet. Subscribers say by REMB that they take everything. All but one are stopped while packets are counted, so that they take no processor time; the one left measures delays. Processor time is counted over ${FULL.cellMs / 1000} s, each rate is tried for ${FULL.stepMs / 1000} s, delays are taken over ${FULL.delayMs / 1000} s.`,
    '## Processor time for a forwarded packet, µs',
    'All threads of the server process (`/proc/<pid>/task/*/schedstat`) by datagrams that left its namespace; receiving, SRTP both ways and the kernel’s delivery are in it.',
    table(heads, compared(rates.map(([name, rate]) => [`${name} at ${thousands(rate)}/s`, `cpuUs ${name}`, micros]))),
    '## Loss at those rates',
    table(['', ...names], rows(rates.map(([name]) => [name, `loss ${name}`, percent]))),
    `## Most packets a second out, with less than ${LOSS_MAX * 100} % loss and half of them within ${LATE_MS} ms`,
    table(heads, compared(FAN_OUTS.map(({ subscribers: n }) => [fanOut(n), `most packets/s ${fanOut(n)}`, thousands]))),
    '## Added delay at half of that, ms',
    'From the making of a packet in the publisher to its callback in a subscriber, both on the busy core 1.',
    table(
      ['', ...names],
      rows(
        FAN_OUTS.flatMap(({ subscribers: n }): [string, string, Format][] => [
          [`${fanOut(n)}, p50`, `p50 ms ${fanOut(n)}`, hundredths],
          [`${fanOut(n)}, p99`, `p99 ms ${fanOut(n)}`, hundredths],
        ]),
      ),
    ),
    `## Joining: ${JOINS} subscribers, ten at a time`,
    table(
      heads,
      compared([
        ['connected each second', 'joins/s', micros],
        ['server’s processor time each, µs', 'cpuUs/join', whole],
        ['memory each, kB', 'kB/subscriber', whole],
        ['memory without any, kB', 'base kB', whole],
        ['one by one: join to first packet, median ms', 'first packet p50 ms', whole],
        ['one by one: join to first packet, worst ms', 'first packet worst ms', whole],
      ]),
    ),
  ].join('\n\n');
}

const hundredths: Format = (value) => value.toFixed(2);

function ratio(samples: readonly Sample[], metric: string, other: string): string {
  const [ours, theirs] = [spreadOf(samples, OURS, metric), spreadOf(samples, other, metric)];
  return ours === undefined || theirs === undefined ? '-' : (ours.median / theirs.median).toFixed(2);
}
