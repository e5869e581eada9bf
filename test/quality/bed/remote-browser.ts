import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { BrowserDriver, BrowserPage, LaunchOptions } from '@orama/testkit';
import type { BrowserCalls, BrowserName, Request, Response } from './browser-process.ts';

const PROGRAM = join(import.meta.dirname, 'browser-process.ts');

/** Starts a browser inside a network namespace. */
export async function launchIn(
  namespace: string,
  browser: BrowserName,
  options: LaunchOptions,
): Promise<BrowserDriver> {
  const node = [process.execPath, '--conditions=source', PROGRAM];
  const child = spawn('ip', ['netns', 'exec', namespace, ...node], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const calls = new Calls(child);
  const { version } = await calls.call('launch', browser, options);
  return {
    version,
    newPage: async () => pageOf(browser, (await calls.call('newPage')).page, calls),
    async close() {
      await calls.call('close');
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

function pageOf(browserName: BrowserName, page: number, calls: Calls): BrowserPage {
  const errors: string[] = [];
  return {
    browserName,
    errors,
    goto: async (url) => void (await calls.call('goto', page, url)),
    evaluate: async <T>(expression: string) => (await calls.call('evaluate', page, expression)) as T,
    async close() {
      errors.splice(0, errors.length, ...(await calls.call('errors', page)));
      await calls.call('closePage', page);
    },
  };
}

class Calls {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #last = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (response: Response) => {
      const waiting = this.#waiting.get(response.id);
      this.#waiting.delete(response.id);
      if ('error' in response) waiting?.reject(new Error(response.error));
      else waiting?.resolve(response.value);
    });
    child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser process ended'));
      this.#waiting.clear();
    });
  }

  call<Name extends keyof BrowserCalls>(
    call: Name,
    ...args: Parameters<BrowserCalls[Name]>
  ): Promise<ReturnType<BrowserCalls[Name]>> {
    const id = ++this.#last;
    const request: Request = { id, call, args };
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#child.send(request);
    });
  }
}
