import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DAEMON_RUNTIMES, DAEMONS, daemonCommand, environmentLines } from './daemons.ts';

let dir: string;
let program: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemons-'));
  program = join(dir, 'told.mjs');
  writeFileSync(program, 'console.log(JSON.stringify([process.execArgv, process.env, process.argv.slice(2)]))');
});
afterAll(() => rmSync(dir, { recursive: true }));

test.each(DAEMONS)('daemonCommand starts the %s with its options and variables, and with what follows', (daemon) => {
  const [command, ...args] = daemonCommand(daemon, program, '--conditions=source');
  const output = execFileSync(command, [...args, '--config', 'file'], { encoding: 'utf8' });
  const { nodeOptions, environment } = DAEMON_RUNTIMES[daemon];
  expect(JSON.parse(output)).toEqual([
    [...nodeOptions, '--conditions=source'],
    expect.objectContaining(environment),
    ['--config', 'file'],
  ]);
});

test('no option or variable needs quoting in a unit', () => {
  for (const daemon of DAEMONS)
    for (const word of [...DAEMON_RUNTIMES[daemon].nodeOptions, ...environmentLines(daemon)])
      expect(word).toMatch(/^[\w.=-]+$/);
});
