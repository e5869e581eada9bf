import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { Output } from './output.ts';
import { renderTable } from './table.ts';

/** Output to a stream that is a terminal or not. */
function outputTo(isTTY: boolean): Output {
  const stream = Object.assign(new Writable(), { isTTY }) as unknown as NodeJS.WriteStream;
  return new Output({ json: false, stdout: stream, stderr: stream });
}
const rows = [
  ['node-1', '', '12'],
  ['n', 'two words', '3'],
];

test('renderTable() draws frames on a terminal', () => {
  expect(renderTable(outputTo(true), ['node', 'state', 'load'], rows)).toMatch(/^┌─.*\n│ .*node.* │/);
});

test('renderTable() writes plain columns into files and pipes', () => {
  expect(renderTable(outputTo(false), ['node', 'state', 'load'], rows)).toBe(
    ['node    state      load', 'node-1  -          12', 'n       two words  3'].join('\n'),
  );
});
