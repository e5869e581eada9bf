import CliTable from 'cli-table3';
import type { Output } from './output.ts';

/** A table as text. Colours the head only where the output's stdout shows colour. */
export function renderTable(output: Output, head: string[], rows: string[][]): string {
  const table = new CliTable({
    head: head.map((title) => output.style('bold', title)),
    // Its own colours would reach files and pipes as well.
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows);
  return table.toString();
}

/** Lines of `name  value`, the values below each other. */
export function renderFields(fields: [name: string, value: string][]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}
