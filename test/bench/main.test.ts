import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');

function bench(...args: string[]) {
  const options = { encoding: 'utf8', timeout: 60_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=source', MAIN, ...args], options);
  return { status, stdout, lines: stderr.split('\n') };
}

test.each([
  [['nothing'], 'error: there is no benchmark "nothing"', 'usage: pnpm bench enable | reconcile | sfu | turn [--help]'],
  [['enable', '--stores', 'x'], 'error: --stores knows sqlite, rqlite, not "x"', 'pnpm bench enable'],
  [['turn', '--rounds', '0'], 'error: --rounds must be a whole number above 0', 'pnpm bench turn [--quick]'],
  [['turn', '--engines', 'x'], 'error: --engines knows coturn, orama, orama-2, node-turn, not "x"', 'pnpm bench turn'],
  [['turn', '--foo'], "error: Unknown option '--foo'", 'pnpm bench turn'],
  [['turn', '--only', 'x'], 'error: --only knows ', 'pnpm bench turn'],
  [['turn', '--delay-rate', '0'], 'error: --delay-rate must be a whole number above 0', 'pnpm bench turn'],
  [['turn', 'much'], 'error: "much" is no option', 'pnpm bench turn'],
  [['sfu', '--rounds', 'many'], 'error: --rounds must be a whole number above 0', 'pnpm bench sfu'],
  [['sfu', '--engines', ''], 'error: --engines knows orama, janus, janus-1, not ""', 'pnpm bench sfu'],
])('pnpm bench %j says what is wrong and how it is used, and ends with 2', (args, problem, usage) => {
  const { status, stdout, lines } = bench(...args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(lines[0]).toContain(problem);
  expect(lines[1]).toContain(usage);
});
