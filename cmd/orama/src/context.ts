import type { Command } from 'commander';
import { Output } from './output/output.ts';
import { type GlobalOptions, readEnvironment, resolveSettings, type Settings } from './settings.ts';

/** What every command gets. */
export interface Context {
  settings: Settings;
  output: Output;
}

/** Builds the context of one run. */
function createContext(options: GlobalOptions): Context {
  return {
    settings: resolveSettings(options, readEnvironment()),
    output: createOutput(options.json ?? false),
  };
}

export function createOutput(json: boolean): Output {
  return new Output({ json, stdout: process.stdout, stderr: process.stderr });
}

/** Wraps a command's work as a commander action: the context first, then the arguments and the options. */
export function withContext<A extends unknown[]>(run: (context: Context, ...args: A) => Promise<void>) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    await run(createContext(command.optsWithGlobals<GlobalOptions>()), ...(given.slice(0, -1) as A));
  };
}
