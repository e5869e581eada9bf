import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ConfigError, parseConfig, readSecretFile, UserError, writeFileAtomic } from '@orama/core';
import { OPERATOR_TOKEN } from '@orama/protocol';
import { type Document, parseDocument } from 'yaml';
import { z } from 'zod';
import { type Environment, environmentNameSchema, environmentSchema, LOCAL_ENVIRONMENT } from './environment.ts';

const fileSchema = z.strictObject({
  /** The one that is meant where none is named. */
  current: z.string().optional(),
  environments: z
    .record(z.string(), environmentSchema)
    .default({})
    .superRefine((environments, context) => {
      // As keys of the record their own messages would not be told.
      for (const name of Object.keys(environments)) {
        for (const { message } of environmentNameSchema.safeParse(name).error?.issues ?? [])
          context.addIssue({ code: 'custom', path: [name], message });
      }
    }),
});

/** The clusters that an operator knows, in `~/.config/orama/environments.yaml`. */
export class EnvironmentsFile {
  readonly path: string;
  readonly #document: Document;
  readonly #content: z.infer<typeof fileSchema>;

  private constructor(path: string, document: Document, content: z.infer<typeof fileSchema>) {
    this.path = path;
    this.#document = document;
    this.#content = content;
  }

  /** A file that is not there holds no environment. Throws ConfigError: malformed, or it holds secrets that others can read. */
  static read(path: string): EnvironmentsFile {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    const document = parseDocument(text);
    const [fault] = document.errors;
    // The message without its excerpt, which may show a token.
    if (fault) throw new ConfigError(`${path} is not YAML: ${fault.message.split('\n')[0]?.replace(/:$/, '')}`);
    const content = parseConfig(fileSchema, document.toJS() ?? {}, path);
    const hasSecrets = Object.values(content.environments).some(
      ({ token, apiKeys }) => token !== undefined || Object.keys(apiKeys).length > 0,
    );
    if (hasSecrets && statSync(path).mode & 0o077) {
      throw new ConfigError(`${path} holds tokens or keys and others can read it`, { hint: `chmod 600 ${path}` });
    }
    return new EnvironmentsFile(path, document, content);
  }

  get current(): string | undefined {
    return this.#content.current;
  }

  get environments(): Readonly<Record<string, Environment>> {
    return this.#content.environments;
  }

  /** Throws NOT_FOUND naming those that there are. */
  get(name: string): Environment {
    const environment = Object.hasOwn(this.environments, name) ? this.environments[name] : undefined;
    if (environment) return environment;
    const names = [LOCAL_ENVIRONMENT, ...Object.keys(this.environments)];
    throw new UserError('NOT_FOUND', `there is no environment "${name}" in ${this.path}`, {
      hint: `there is ${names.join(', ')}; orama env add makes another`,
    });
  }

  /** The token of an environment with a url. Throws ConfigError where its file cannot be used. */
  tokenOf({ token, tokenFile }: Environment): string {
    const text = token ?? readSecretFile(this.file(tokenFile ?? ''));
    return parseConfig(z.string().regex(OPERATOR_TOKEN, 'is no token of "orama token create"'), text, 'the token');
  }

  /** Paths in the file are relative to its folder. */
  file(path: string): string {
    return resolve(dirname(this.path), path);
  }

  /** Adds or replaces an environment. What else stands in the file, comments included, stays. */
  async set(name: string, environment: z.input<typeof environmentSchema>): Promise<void> {
    parseConfig(environmentSchema, environment, `environment ${name}`);
    this.#document.setIn(['environments', name], this.#document.createNode(environment));
    await this.#write();
  }

  /** Makes an environment the one that is meant where none is named; undefined: the local cluster. */
  async use(name: string | undefined): Promise<void> {
    if (name === undefined) this.#document.deleteIn(['current']);
    else this.#document.setIn(['current'], name);
    await this.#write();
  }

  /** Throws NOT_FOUND. */
  async remove(name: string): Promise<void> {
    this.get(name);
    this.#document.deleteIn(['environments', name]);
    if (this.current === name) this.#document.deleteIn(['current']);
    await this.#write();
  }

  async #write(): Promise<void> {
    await writeFileAtomic(this.path, this.#document.toString());
  }
}
