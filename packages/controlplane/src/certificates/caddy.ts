import { describeError, OramaError } from '@orama/core';
import { callHttp, type HttpAnswer } from '../http-call.ts';

/** A change makes Caddy build its servers anew before it answers. */
const TIMEOUT_MS = 15_000;
/** A Caddy that was given another configuration opens its admin API anew, and resets who has just come. */
const RESET_ATTEMPTS = 3;

/** A part of Caddy's configuration, as it was when it was read. */
export interface CaddyPart {
  value: unknown;
  /** Of this value; a change that names it is refused once the value is another. */
  etag: string | undefined;
}

/** The admin API of the Caddy of this node. */
export class CaddyApi {
  readonly #admin: string;

  /** @param admin `http://<loopback address>:<port>` or `unix:/<socket>` */
  constructor(admin: string) {
    this.#admin = admin;
  }

  /** The configuration below a path such as `apps/tls`; null where there is none. Throws UNAVAILABLE. */
  async read(path: string): Promise<CaddyPart> {
    const { body, headers } = await this.#call('GET', `/config/${path}`, { host: this.#host });
    return { value: parseJson(body), etag: textOf(headers.etag) };
  }

  /** Puts a value in the place of one that was read. Throws CONFLICT when somebody else has changed it since. */
  async replace(path: string, value: unknown, { etag }: CaddyPart): Promise<void> {
    const headers = { host: this.#host, ...(etag !== undefined && { 'if-match': etag }) };
    await this.#call('POST', `/config/${path}`, headers, JSON.stringify(value));
  }

  /** Whether the Caddy that runs has a provider for DNS-01: it is asked to read a file that names it. */
  async hasDnsProvider(name: string): Promise<boolean> {
    const headers = { host: this.#host, 'content-type': 'text/caddyfile' };
    const site = `dns.invalid {\n\ttls {\n\t\tdns ${name}\n\t}\n}\n`;
    const answer = await this.#ask('POST', '/adapt', headers, site);
    return answer.status === 200 || !answer.body.includes('module not registered');
  }

  async #call(method: string, path: string, headers: Record<string, string>, body?: string): Promise<HttpAnswer> {
    const answer = await this.#ask(method, path, headers, body);
    if (answer.status === 200) return answer;
    if (answer.status === 412) {
      throw new OramaError('CONFLICT', "somebody else is changing Caddy's configuration", { retryable: true });
    }
    const reason = reasonOf(answer.body) ?? `status ${answer.status}`;
    throw new OramaError('UNAVAILABLE', `Caddy at ${this.#admin} refused ${method} ${path}: ${reason}`, {
      hint: 'correct what it says in the configuration of Caddy',
    });
  }

  async #ask(method: string, path: string, headers: Record<string, string>, body = ''): Promise<HttpAnswer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await callHttp(this.#where, method, path, { body, headers, timeoutMs: TIMEOUT_MS });
      } catch (thrown) {
        // A change carries the ETag of what it is to replace: it is not done twice.
        if (attempt < RESET_ATTEMPTS && (thrown as NodeJS.ErrnoException).code === 'ECONNRESET') continue;
        throw new OramaError('UNAVAILABLE', `no Caddy answers at ${this.#admin}: ${describeError(thrown)}`, {
          cause: thrown,
          retryable: true,
          hint: 'start it, or correct certificates.admin',
        });
      }
    }
  }

  get #where(): Parameters<typeof callHttp>[0] {
    if (this.#admin.startsWith('unix:')) return { socketPath: this.#admin.slice('unix:'.length) };
    const { hostname, port } = new URL(this.#admin);
    return { address: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) };
  }

  /** What Caddy takes for its own name; on a socket it has none. */
  get #host(): string {
    return this.#admin.startsWith('unix:') ? '' : new URL(this.#admin).host;
  }
}

function reasonOf(body: string): string | undefined {
  const answer = parseJson(body) as { error?: unknown } | null;
  return typeof answer?.error === 'string' ? answer.error.slice(0, 300) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
