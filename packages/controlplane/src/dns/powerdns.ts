import { isIP } from 'node:net';
import { ConfigError, describeError, type Logger, OramaError, specialRangeOf } from '@orama/core';
import { z } from 'zod';
import type { ZoneProvider } from './remote-zone.ts';
import { type AddressSet, TAKEN_BY, type ZoneChanges, type ZoneSeen } from './zone-changes.ts';

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Of what PowerDNS says of a fault. */
const MAX_REASON_CHARS = 200;

const zoneSchema = z.object({
  /** How the serial of the zone follows changes by the API; empty where it does not. */
  soa_edit_api: z.string().optional(),
  rrsets: z.array(
    z.object({
      name: z.string(),
      type: z.string(),
      ttl: z.number(),
      records: z.array(z.object({ content: z.string(), disabled: z.boolean().default(false) })),
    }),
  ),
});
const faultSchema = z.object({ error: z.string() });

export interface PowerDnsOptions {
  /** Of the web server, such as `http://127.0.0.1:8081`. */
  url: string;
  /** PowerDNS's own name of the server. */
  server: string;
  /** Without the trailing dot. */
  zone: string;
  apiKey: string;
  timeoutMs: number;
  logger: Logger;
}

/** A zone behind the HTTP API of a PowerDNS server. */
export class PowerDnsZone implements ZoneProvider {
  readonly #options: PowerDnsOptions;
  readonly #url: string;
  #hasWarned = false;

  /** @throws ConfigError when the key would cross a foreign network in clear */
  constructor(options: PowerDnsOptions) {
    const { protocol, hostname } = new URL(options.url);
    const host = hostname.replace(/^\[|\]$/g, '');
    if (protocol !== 'https:' && (isIP(host) === 0 || specialRangeOf(host) === null)) {
      throw new ConfigError(`dns.url: the API key would be sent to ${host} in clear`, {
        hint: 'use https, or an address on loopback or the WireGuard network',
      });
    }
    this.#options = options;
    const { url, server, zone } = options;
    this.#url = `${url.replace(/\/$/, '')}/api/v1/servers/${encodeURIComponent(server)}/zones/${encodeURIComponent(`${zone}.`)}`;
  }

  async read(): Promise<ZoneSeen> {
    const body = await this.#call('GET');
    const parsed = zoneSchema.safeParse(parseJson(body));
    if (!parsed.success)
      throw this.#error('url', 'answered with something else than a zone', 'check what listens there');
    if (parsed.data.soa_edit_api === '') this.#warnOfSerial();
    const addresses: AddressSet[] = [];
    const taken = new Map<string, string>();
    for (const { name, type, ttl, records } of parsed.data.rrsets) {
      const values = records.filter(({ disabled }) => !disabled).map(({ content }) => content);
      if (type === 'A' || type === 'AAAA') addresses.push({ name: plainName(name), type, ttlSec: ttl, values });
      if (type === 'CNAME' || type === 'ALIAS') taken.set(plainName(name), TAKEN_BY[type]);
      if (type === 'NS') taken.set(plainName(name), TAKEN_BY.DELEGATION);
      // The name is the last word of both: "10 mail.example.com."
      if (type === 'NS' || type === 'MX')
        for (const value of values) taken.set(plainName(value.split(' ').at(-1) ?? ''), TAKEN_BY[type]);
    }
    return { addresses, taken };
  }

  #warnOfSerial(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { zone, logger } = this.#options;
    const mend = `pdnsutil set-meta ${zone} SOA-EDIT-API DEFAULT`;
    logger.warn({ zone, mend }, 'the serial of the zone does not rise with changes, so that secondaries miss them');
  }

  async apply({ replace, remove }: ZoneChanges): Promise<void> {
    const replaced = replace.map(({ name, type, ttlSec, values }) => ({
      name: `${name}.`,
      type,
      ttl: ttlSec,
      changetype: 'REPLACE',
      records: values.map((content) => ({ content, disabled: false })),
    }));
    const removed = remove.map(({ name, type }) => ({ name: `${name}.`, type, changetype: 'DELETE' }));
    await this.#call('PATCH', JSON.stringify({ rrsets: [...replaced, ...removed] }));
  }

  async #call(method: 'GET' | 'PATCH', body?: string): Promise<string> {
    const { apiKey, timeoutMs } = this.#options;
    let status: number;
    let text: string;
    try {
      const response = await fetch(this.#url, {
        method,
        headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
        ...(body !== undefined && { body }),
      });
      status = response.status;
      text = await readText(response);
    } catch (thrown) {
      const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
      const isLate = thrown instanceof DOMException && thrown.name === 'TimeoutError';
      const why = isLate ? `no answer within ${timeoutMs} ms` : describeError(cause);
      throw this.#error(
        'url',
        `cannot be reached: ${why}`,
        'check that pdns_server runs with webserver=yes and api=yes',
      );
    }
    if (status === 200 || status === 204) return text;
    throw this.#refusal(status, text);
  }

  #refusal(status: number, text: string): OramaError {
    const { zone } = this.#options;
    const fault = faultSchema.safeParse(parseJson(text));
    const reason = fault.success ? fault.data.error.slice(0, MAX_REASON_CHARS) : `status ${status}`;
    if (status === 401 || status === 403) {
      return this.#error('apiKeyFile', 'refused the API key', 'compare the file with api-key in pdns.conf');
    }
    if (status === 404) {
      const hint = `make it with "pdnsutil create-zone ${zone}" and "pdnsutil set-meta ${zone} SOA-EDIT-API DEFAULT", or correct dns.zone or dns.server`;
      return this.#error('zone', `has no zone ${zone}`, hint);
    }
    return this.#error(
      'zone',
      `refused the records of ${zone}: ${reason}`,
      'correct what it says, in the zone or in pdns.conf',
    );
  }

  #error(field: string, what: string, hint: string): OramaError {
    return new OramaError('UNAVAILABLE', `dns.${field}: PowerDNS at ${this.#options.url} ${what}`, {
      hint,
      retryable: true,
    });
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
