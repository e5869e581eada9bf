import { readFileSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, extname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { z } from 'zod';
import { ConfigError, describeError } from '../errors.ts';

/** All problems of a failed parse, one a line, each with its path. */
export function formatIssues(error: z.ZodError): string {
  return error.issues.map((issue) => `  ${issue.path.map(String).join('.') || '(whole)'}: ${issue.message}`).join('\n');
}

/** Parses `value` or throws a ConfigError that lists every problem with its path. `what` names the source. */
export function parseConfig<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ConfigError(`${what} cannot be used:\n${formatIssues(result.error)}`, {
    hint: 'correct the fields above and start again',
  });
}

/** Reads a configuration file: JSON when its name ends so, else YAML. Throws ConfigError when it is missing, malformed or invalid. */
export async function loadConfigFile<S extends z.ZodType>(schema: S, path: string): Promise<z.output<S>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
  return parseConfigText(schema, text, path);
}

/**
 * A configuration file of a process that runs. It is read again and again and compared, instead of watched: that sees a
 * rename, a change of a link and a second write within the same tick alike.
 */
export class ConfigFile<S extends z.ZodType> {
  readonly #schema: S;
  readonly #path: string;
  /** What was read last, good or bad; null when it could not be read. */
  #seen: string | null | undefined;

  constructor(schema: S, path: string) {
    this.#schema = schema;
    this.#path = path;
  }

  /**
   * What the file says, when that is not what it said at the last call; else undefined.
   * @throws ConfigError once, when it cannot be used or is gone
   */
  async changed(): Promise<z.output<S> | undefined> {
    let text: string | null = null;
    let fault: unknown;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (thrown) {
      fault = thrown;
    }
    if (text === this.#seen) return undefined;
    this.#seen = text;
    if (text === null) throw unreadable(this.#path, fault);
    return parseConfigText(this.#schema, text, this.#path);
  }
}

function unreadable(path: string, thrown: unknown): ConfigError {
  return new ConfigError(`configuration file ${path} cannot be read: ${describeError(thrown)}`);
}

async function parseConfigText<S extends z.ZodType>(schema: S, text: string, path: string): Promise<z.output<S>> {
  const isJson = extname(path) === '.json';
  let value: unknown;
  try {
    // The parser of YAML takes longer to load than most files to read: who has JSON does without it.
    value = isJson ? JSON.parse(text) : (await import('yaml')).parse(text);
  } catch (thrown) {
    throw new ConfigError(`configuration file ${path} is not ${isJson ? 'JSON' : 'YAML'}: ${describeError(thrown)}`);
  }
  return parseConfig(schema, value, `configuration file ${path}`);
}

/** Reads `--config <file>` from the arguments of one of our daemons. */
export function configPathFromArgs(args: string[], program: string): string {
  try {
    const { values } = parseArgs({ args, options: { config: { type: 'string' } }, strict: true });
    if (values.config) return values.config;
  } catch (thrown) {
    throw new ConfigError(`${program}: ${describeError(thrown)}`, { hint: `usage: ${program} --config <file>` });
  }
  throw new ConfigError(`${program}: --config is missing`, { hint: `usage: ${program} --config <file>` });
}

/**
 * Reads a secret from a file, without the trailing newline. What systemd hands a unit with LoadCredential= it lets the
 * unit's user read by an access list, which shows as the group's bits of the mode.
 * Throws ConfigError when it is missing, empty or readable by others than its owner.
 * @param credentials folder of such files
 */
export function readSecretFile(path: string, credentials = process.env.CREDENTIALS_DIRECTORY): string {
  let mode: number;
  let text: string;
  try {
    mode = statSync(path).mode;
    text = readFileSync(path, 'utf8').trim();
  } catch (thrown) {
    throw new ConfigError(`secret file ${path} cannot be read: ${describeError(thrown)}`);
  }
  const others = dirname(resolve(path)) === credentials ? 0o007 : 0o077;
  if (mode & others) throw new ConfigError(`secret file ${path} is readable by others`, { hint: `chmod 600 ${path}` });
  if (text.length === 0) throw new ConfigError(`secret file ${path} is empty`);
  return text;
}
