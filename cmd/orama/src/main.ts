#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { EXIT } from '@orama/protocol';
import { CommanderError } from 'commander';
import { createOutput } from './context.ts';
import { describeFailure } from './exit-code.ts';
import { Interrupted } from './interrupt.ts';
import { commandPath, createProgram } from './program.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
// Whoever reads the output may go before its end, as "head" does; there is nobody left to write for.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed),
);

const argv = process.argv.slice(2);
const program = createProgram(version);

try {
  await program.parseAsync(argv, { from: 'user' });
} catch (thrown) {
  process.exitCode = end(thrown);
  // It may still wait for an answer that nobody wants any more.
  if (thrown instanceof Interrupted) process.exit();
}

/** Says why a command failed; the exit code. Help and version arrive here as well. */
function end(thrown: unknown): number {
  if (thrown instanceof CommanderError) {
    // Asked for, and already printed.
    if (thrown.exitCode === 0) return EXIT.done;
    // A noun without a verb: its help went to stderr.
    if (thrown.code === 'commander.help') return EXIT.usage;
  }
  const failure = describeFailure(thrown, `see "${commandPath(program, argv)} --help"`);
  createOutput(argv.includes('--json')).failure(failure);
  return failure.exitCode;
}
