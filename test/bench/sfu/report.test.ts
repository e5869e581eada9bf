import { expect, test } from 'vitest';
import type { Sample } from '../samples.ts';
import { renderReport } from './report.ts';

const engines = new Map([
  ['orama', 'ours'],
  ['janus', 'theirs'],
  ['janus, 1 loop', 'theirs, at its best'],
]);

const measured = (engine: string, metric: string, ...values: number[]): Sample[] =>
  values.map((value) => ({ engine, metric, value }));

/** The cells of all lines of a report that begin with a label. */
function linesOf(samples: readonly Sample[], label: string): string[][] {
  const report = renderReport({ samples, engines, machine: 'a machine', date: '2026-01-01' });
  const rows = report.split('\n').map((line) => line.split('|').map((text) => text.trim()));
  return rows.filter((row) => row[1] === label).map((row) => row.slice(2, -1));
}

test('a sample that is not valid is left out of the median and counted in its cell, and its reason is told', () => {
  const metric = 'most packets/s 1 to 20';
  const samples: Sample[] = [
    ...measured('orama', metric, 130_000, 150_000),
    { engine: 'orama', metric, fault: 'the clients sent too little' },
    { engine: 'janus', metric, fault: 'it fell' },
  ];
  expect(linesOf(samples, '1 to 20').at(-1)?.slice(0, 3)).toEqual(['140k (130k–150k) [2 of 3]', 'invalid', '-']);
  expect(renderReport({ samples, engines, machine: '', date: '' })).toMatch(
    /## Not valid\n\n- orama, most packets\/s 1 to 20: the clients sent too little\n- janus, most packets\/s 1 to 20: it fell$/,
  );
});

test('a target of ours against another is told by the medians, and in how many rounds it was met', () => {
  const metric = 'cpuUs 1 to 50';
  const theirs = measured('janus, 1 loop', metric, 8, 8, 8);
  const target = '1 to 50: time a packet, by that of janus, 1 loop';
  const told = (...ours: number[]) => linesOf([...theirs, ...measured('orama', metric, ...ours)], target)[0];
  expect(told(7, 7.6, 9)).toEqual(['at most 1.00', '0.95', 'met', '2 of 3']);
  expect(told(7, 8.8, 9)).toEqual(['at most 1.00', '1.10', '**missed**', '1 of 3']);
  expect(told()).toEqual(['at most 1.00', '-', 'not measured', '-']);
});

test('a target in numbers may have to be reached or kept', () => {
  const samples = [...measured('orama', 'joins/s', 49, 60, 70), ...measured('orama', 'kB/subscriber', 210, 230, 240)];
  expect(linesOf(samples, 'joins a second')[0]).toEqual(['at least 50.0', '60.0', 'met', '2 of 3']);
  expect(linesOf(samples, 'memory for a subscriber, kB')[0]).toEqual(['at most 220', '230', '**missed**', '1 of 3']);
});
