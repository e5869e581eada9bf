import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/**
 * The words and options after the program's name, or `args` instead. Ends the program with its usage: exit code 0 for `--help`, 2 when an
 * option is not known.
 */
export function readCommandLine<O extends ParseArgsOptionsConfig>(
  usage: string,
  options: O,
  args = process.argv.slice(2),
) {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (thrown) {
    return refuse(usage, (thrown as Error).message);
  }
}

/** Ends the program with what is wrong with its arguments and how they are given. */
export function refuse(usage: string, problem: string): never {
  console.error(`error: ${problem}\n${usage}`);
  process.exit(2);
}
