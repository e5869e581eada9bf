// Runs in a client's namespace: drives the browser that it is told to start. Its parent is bed/remote-browser.ts.
import {
  type BrowserDriver,
  type BrowserPage,
  type LaunchOptions,
  launchChromium,
  launchFirefox,
} from '@orama/testkit';

export type BrowserName = 'chromium' | 'firefox';

/** What the parent asks; every request is answered by its id. */
export interface BrowserCalls {
  launch(browser: BrowserName, options: LaunchOptions): { version: string };
  newPage(): { page: number };
  goto(page: number, url: string): null;
  evaluate(page: number, expression: string): unknown;
  errors(page: number): string[];
  closePage(page: number): null;
  close(): null;
}

export interface Request {
  id: number;
  call: keyof BrowserCalls;
  args: unknown[];
}
export type Response = { id: number; value: unknown } | { id: number; error: string };

let driver: BrowserDriver;
const pages: BrowserPage[] = [];
const page = (number: number) => pages[number] as BrowserPage;

const CALLS: {
  [Call in keyof BrowserCalls]: (...args: Parameters<BrowserCalls[Call]>) => Promise<ReturnType<BrowserCalls[Call]>>;
} = {
  async launch(browser, options) {
    driver = await (browser === 'chromium' ? launchChromium : launchFirefox)(options);
    return { version: driver.version };
  },
  async newPage() {
    return { page: pages.push(await driver.newPage()) - 1 };
  },
  async goto(number, url) {
    await page(number).goto(url);
    return null;
  },
  evaluate: (number, expression) => page(number).evaluate(expression),
  errors: async (number) => [...page(number).errors],
  async closePage(number) {
    await page(number).close();
    return null;
  },
  async close() {
    await driver.close();
    return null;
  },
};

process.on('message', ({ id, call, args }: Request) => {
  const run = CALLS[call] as (...args: unknown[]) => Promise<unknown>;
  run(...args).then(
    (value) => answer({ id, value }),
    (thrown: unknown) =>
      answer({ id, error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) }),
  );
});
// The parent is gone: so is everything this process started.
process.on('disconnect', () => void Promise.resolve(driver?.close()).finally(() => process.exit()));

function answer(response: Response): void {
  process.send?.(response);
}
