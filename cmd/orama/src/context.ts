import { UserError } from '@orama/core';
import type { Command } from 'commander';
import { LOCAL_ENVIRONMENT } from './environments/environment.ts';
import { Output } from './output/output.ts';
import { type GlobalOptions, readEnvironment, resolveSettings, type Settings } from './settings.ts';

/** What every command gets. */
export interface Context {
  settings: Settings;
  output: Output;
}

/** Builds the context of one run. */
async function createContext(options: GlobalOptions): Promise<Context> {
  return {
    settings: await resolveSettings(options, readEnvironment()),
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
    await run(await createContext(command.optsWithGlobals<GlobalOptions>()), ...(given.slice(0, -1) as A));
  };
}

/** As `withContext`, for what is done to this machine: another cluster that `--env` names is refused, not passed over. */
export function onThisMachine<A extends unknown[]>(run: (context: Context, ...args: A) => Promise<void>) {
  const action = withContext(run);
  return async (...given: unknown[]): Promise<void> => {
    const { env } = (given.at(-1) as Command).optsWithGlobals<GlobalOptions>();
    if (env !== undefined && env !== LOCAL_ENVIRONMENT) {
      throw new UserError(
        'INVALID_REQUEST',
        `this command is about this machine, and "--env ${env}" about another one`,
        {
          hint: 'leave out --env; for another machine run the command there',
        },
      );
    }
    await action(...given);
  };
}
