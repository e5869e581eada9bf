import CliTable from 'cli-table3';
import type { Output } from './output.ts';

/** A table as text: with a frame on a terminal, elsewhere columns between spaces, which programs take apart easily. */
export function renderTable(output: Output, head: string[], rows: string[][]): string {
  if (!output.isTerminal) return renderColumns([head, ...rows]);
  const table = new CliTable({
    head: head.map((title) => output.style('bold', title)),
    // Its own colours would reach files and pipes as well.
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows);
  return table.toString();
}

function renderColumns(lines: string[][]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (cell === '' ? '-' : cell).padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Lines of `name  value`, the values below each other. */
export function renderFields(fields: [name: string, value: string][]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}
