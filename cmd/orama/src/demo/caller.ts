import { OramaError } from '@orama/core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { z } from 'zod';
import { pause } from '../wait.ts';

const POLL_MS = 100;

const number = z.number().nullish();

/** What is read of `window.orama.stats()` of the call page. */
const pageStatsSchema = z.object({
  participants: z.array(
    z.object({
      name: z.string(),
      video: z
        .object({
          width: z.number(),
          height: z.number(),
          framesDecoded: z.number(),
          framesPerSecond: z.number(),
          bitrateBps: z.number(),
        })
        .nullish(),
      audio: z.object({ totalAudioEnergy: z.number() }).nullish(),
    }),
  ),
  pair: z
    .object({ localType: z.string(), protocol: z.string(), remoteAddress: z.string().nullish(), rttMs: number })
    .nullish(),
  timings: z.object({ joinToFirstFrameMs: number }),
});
export type PageStats = z.infer<typeof pageStatsSchema>;

/** One participant: the call page in a browser profile of its own. */
export class Caller {
  readonly name: string;
  readonly #context: BrowserContext;
  readonly #page: Page;
  readonly #errors: string[] = [];

  private constructor(name: string, context: BrowserContext, page: Page) {
    this.name = name;
    this.#context = context;
    this.#page = page;
    page.on('pageerror', (error) => this.#errors.push(error.message));
    page.on('console', (message) => message.type() === 'error' && this.#errors.push(message.text()));
  }

  /** Opens the page and joins at once. */
  static async join(browser: Browser, url: string, name: string): Promise<Caller> {
    const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
    const caller = new Caller(name, context, await context.newPage());
    await caller.#page.goto(`${url}&${new URLSearchParams({ name, autojoin: '1' })}`);
    return caller;
  }

  /** What the page receives, or undefined while it is not in a call. */
  async stats(): Promise<PageStats | undefined> {
    const value: unknown = await this.#page.evaluate('window.orama ? window.orama.stats() : null');
    return value === null ? undefined : pageStatsSchema.parse(value);
  }

  /** Waits for statistics that `accept` likes. Throws `TIMEOUT` with what the page says instead. */
  async waitFor(
    what: string,
    accept: (stats: PageStats) => boolean,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<PageStats> {
    const deadline = performance.now() + timeoutMs;
    let last: PageStats | undefined;
    for (;;) {
      last = await this.stats();
      if (last && accept(last)) return last;
      if (performance.now() >= deadline) break;
      await pause(POLL_MS, signal);
    }
    const said = last ? JSON.stringify(last) : String(await this.#page.evaluate('document.body.innerText'));
    const says = [said.replaceAll(/\s+/g, ' ').slice(0, 1_000), ...this.#errors].join(' | ');
    throw new OramaError('TIMEOUT', `${this.name} waited ${timeoutMs / 1000} s for ${what}; the page says: ${says}`, {
      hint: 'see "orama dev logs"',
    });
  }

  async close(): Promise<void> {
    await this.#page.close();
    await this.#context.close();
  }
}
