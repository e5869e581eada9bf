const TIMEOUT_MS = 2_000;

interface Answer {
  results?: { rows?: Record<string, string | number | null>[]; error?: string }[];
}

/** Looks into the store by its own HTTP API: the product's code has no part in it. */
export class StoreView {
  readonly #addresses: readonly string[];

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  /** Rows as the leader has them. Rejects while there is none. */
  async rows(sql: string, ...params: (string | number)[]): Promise<Record<string, string | number | null>[]> {
    let fault: unknown;
    for (const address of this.#addresses) {
      try {
        const response = await fetch(`${address}/db/query?level=weak&associative&timeout=1s`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify([[sql, ...params]]),
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        if (!response.ok) throw new Error(`${address}: ${response.status}`);
        const [result] = ((await response.json()) as Answer).results ?? [];
        if (!result || result.error !== undefined) throw new Error(`${sql}: ${result?.error}`);
        return result.rows ?? [];
      } catch (thrown) {
        fault = thrown;
      }
    }
    throw new Error('no rqlited answers', { cause: fault });
  }
}
