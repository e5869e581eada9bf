import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chromium } from 'playwright-core';
import type { BrowserDriver, BrowserPage, LaunchOptions } from './driver.ts';
import { writeFakeCamera } from './fake-camera.ts';
import { KEEP_CONNECTIONS } from './observer.ts';
import { trustAuthority } from './trust.ts';

const EXECUTABLE = '/usr/bin/chromium';

const ARGUMENTS = [
  '--no-sandbox',
  // A file instead of a camera, a beep instead of a microphone, and no question asked.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  // Several pages in one headless window: none of them may be slowed down as hidden.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

/** Starts headless Chromium with fake devices; every page is a user of its own. */
export async function launchChromium({ authority, hosts = {}, within }: LaunchOptions = {}): Promise<BrowserDriver> {
  const camera = writeFakeCamera();
  const home = mkdtempSync(join(tmpdir(), 'orama-chromium-'));
  if (authority !== undefined) await trustAuthority(join(home, '.pki', 'nssdb'), authority);
  const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  const args = [
    ...ARGUMENTS,
    `--use-file-for-fake-video-capture=${camera}`,
    ...(rules.length === 0 ? [] : [`--host-resolver-rules=${rules.join(',')}`]),
  ];
  // A home of its own: Chromium looks there for authorities.
  const env = { HOME: home, PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' };
  const executablePath = within === undefined ? EXECUTABLE : runBy(within, home);
  const browser = await chromium.launch({ executablePath, headless: true, args, env });
  return {
    version: browser.version(),
    async newPage(): Promise<BrowserPage> {
      const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
      const page = await context.newPage();
      await page.addInitScript(KEEP_CONNECTIONS);
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(`exception: ${error.message}`));
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(`console: ${message.text()}`);
      });
      return {
        browserName: 'chromium',
        errors,
        goto: async (url) => void (await page.goto(url)),
        evaluate: <T>(expression: string) => page.evaluate(expression) as Promise<T>,
        async close() {
          await page.close({ runBeforeUnload: false });
          await context.close();
        },
      };
    },
    async close() {
      await browser.close();
      for (const folder of [dirname(camera), home]) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A program that starts Chromium so: playwright-core has its own arguments before ours. */
function runBy(within: readonly string[], folder: string): string {
  const program = join(folder, 'chromium');
  const command = [...within, EXECUTABLE].map((word) => `'${word}'`).join(' ');
  writeFileSync(program, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o700 });
  return program;
}
