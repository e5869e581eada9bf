import { type Sample, valuesOf } from '../samples.ts';
import { cell, type Format, hundredths, micros, percent, ratio, table, thousands, whole } from '../tables.ts';
import { FULL } from './durations.ts';
import { LATE_MS, LOSS_MAX } from './forwarding.ts';
import { JOINS, JOINS_AT_ONCE, SINGLE_JOINS, VIEWED } from './joins.ts';
import { MOST_OUT, mbitsEach, PACKET_BYTES, SCENARIOS } from './scenarios.ts';
import { OURS, verdicts } from './verdicts.ts';

export interface ReportInput {
  samples: readonly Sample[];
  /** What each engine is, by name, in the order of the columns. */
  engines: ReadonlyMap<string, string>;
  machine: string;
  /** ISO date. */
  date: string;
}

type Metric = [label: string, metric: string, format: Format];

/** How many rounds of an engine the samples are of. */
export function roundsOf(samples: readonly Sample[], engine: string): number {
  return valuesOf(samples, engine, 'base kB').length;
}

/** The whole report as Markdown, readable on a terminal as it is. */
export function renderReport({ samples, engines, machine, date }: ReportInput): string {
  const names = [...engines.keys()];
  const others = names.filter((name) => name !== OURS);
  const rows = (metrics: Metric[]) =>
    metrics.map(([label, metric, format]) => [label, ...names.map((name) => cell(samples, name, metric, format))]);
  const compared = (metrics: Metric[]) =>
    rows(metrics).map((row, i) => [
      ...row,
      ...others.map((other) => ratio(samples, metrics[i]?.[1] as string, OURS, other)),
    ]);
  const heads = ['', ...names, ...others.map((other) => `${OURS} / ${other}`)];

  return [
    '# SFU benchmark',
    `Made by \`pnpm bench sfu\` on ${date}: ${Math.max(...names.map((name) => roundsOf(samples, name)))} alternated rounds, median (least–greatest).`,
    `Machine: ${machine}. The server has core 0 to itself as far as others let it and a network namespace of its own behind a veth pair; all clients are on core 1.`,
    [...engines].map(([name, description]) => `- **${name}**: ${description}`).join('\n'),
    `The same libdatachannel clients and packets for all: VP8, ${PACKET_BYTES} bytes of RTP, one picture a packet. Those who watch say by REMB that they take everything; those who send and those who watch are clients of their own, also in rooms of many publishers. All watchers but two are stopped while packets are counted, so that they take no processor time; the two left, the first and the last that joined, measure delays. Processor time is counted over ${FULL.cellMs / 1000} s, each rate is tried for ${FULL.stepMs / 1000} s, delays are taken over ${FULL.delayMs / 1000} s.`,
    `A row is so many publishers and subscribers *in each room*, of which there are several: a real subscriber takes no 200 Mbit/s through one connection, and our SFU never sends one more than 50 Mbit/s. The loads are the same for every server:`,
    table(
      [
        '',
        'rooms',
        'connections',
        'packets/s out',
        'Mbit/s to each subscriber',
        `the same at ${thousands(MOST_OUT)}/s out`,
      ],
      SCENARIOS.map((scenario) => {
        const { name, rooms, publishers, subscribers, outRate } = scenario;
        const connections = rooms * (publishers + subscribers);
        const each = [outRate, MOST_OUT].map((rate) => micros(mbitsEach(scenario, rate)));
        return [name, `${rooms}`, `${connections}`, thousands(outRate), ...each];
      }),
    ),
    `Only packets of media count: a counter of the kernel (nft, in the server’s namespace, by length) sees each that leaves. A number is left out as not valid, and listed at the end, where the clients sent less than they should have, where ${LOSS_MAX * 100} % or more was lost in a table that is not about loss, or where something failed; "[3 of 5]" says how many rounds are valid.`,
    '## Against the targets',
    'By the medians; the last column says in how many rounds it was met.',
    table(['', 'wanted', 'seen', '', 'rounds'], verdicts(samples)),
    '## Processor time for a forwarded packet, µs',
    'All threads of the server process (`/proc/<pid>/task/*/schedstat`) by packets of media that left its namespace; receiving, RTCP, SRTP both ways and the kernel’s delivery are in it.',
    table(
      heads,
      compared(SCENARIOS.map(({ name, outRate }) => [`${name} at ${thousands(outRate)}/s`, `cpuUs ${name}`, micros])),
    ),
    '## Loss at those rates',
    table(['', ...names], rows(SCENARIOS.map(({ name }) => [name, `loss ${name}`, percent]))),
    `## Most packets a second out, with less than ${LOSS_MAX * 100} % loss and half of them within ${LATE_MS} ms`,
    table(heads, compared(SCENARIOS.map(({ name }) => [name, `most packets/s ${name}`, thousands]))),
    '## Added delay at half of that, ms',
    'From the making of a packet in the publisher to its callback in a subscriber, both on the busy core 1.',
    table(
      ['', ...names],
      rows(
        SCENARIOS.flatMap(({ name }): Metric[] => [
          [`${name}, p50`, `p50 ms ${name}`, hundredths],
          [`${name}, p99`, `p99 ms ${name}`, hundredths],
        ]),
      ),
    ),
    `## Joining`,
    `${JOINS} subscribers of one room, ${JOINS_AT_ONCE} at a time; memory after a second of media. A further track: what a subscriber of ${VIEWED} publishers takes more. The first packet: ${SINGLE_JOINS} joins, one after the other, each the first of its room, because publishers are asked for about one key frame a second.`,
    table(
      heads,
      compared([
        ['connected each second', 'joins/s', micros],
        ['server’s processor time each, µs', 'cpuUs/join', whole],
        ['memory for a subscriber of one track, kB', 'kB/subscriber', whole],
        ['memory for each further track, kB', 'kB/track', micros],
        ['memory without any, kB', 'base kB', whole],
        ['join to first packet, median ms', 'first packet p50 ms', whole],
        ['join to first packet, worst ms', 'first packet worst ms', whole],
      ]),
    ),
    '## Noise',
    'Stalls: the share of a second in which a loop that only reads the clock on core 0 found itself stopped for 0.1 ms and longer, before each server. Others’ share: what core 0 did while processor time was counted that was not the server.',
    table(
      ['', ...names],
      rows([
        ['stalls of core 0', 'stalled share of the core', percent],
        ...SCENARIOS.map(({ name }): Metric => [`others’ share, ${name}`, `others ${name}`, percent]),
      ]),
    ),
    '## Not valid',
    faults(samples),
  ].join('\n\n');
}

/** Every sample that is not valid, with the reason. */
function faults(samples: readonly Sample[]): string {
  const lines = samples.flatMap((sample) =>
    'fault' in sample ? [`- ${sample.engine}, ${sample.metric}: ${sample.fault}`] : [],
  );
  return lines.length === 0 ? 'None.' : lines.join('\n');
}
