import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import type { BrowserDriver, BrowserPage, LaunchOptions } from './driver.ts';
import { KEEP_CONNECTIONS } from './observer.ts';
import { trustAuthority } from './trust.ts';

const EXECUTABLE = '/usr/bin/firefox-esr';

const PREFERENCES = {
  // A moving test picture with a tone instead of a camera and a microphone, and no question asked.
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  // The cluster's addresses are loopback ones here.
  'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.getusermedia.insecure.enabled': true,
  'media.devices.insecure.enabled': true,
};

/** Starts headless Firefox with fake devices, driven by WebDriver BiDi. */
export async function launchFirefox({ authority, hosts = {} }: LaunchOptions = {}): Promise<BrowserDriver> {
  const profile = mkdtempSync(join(tmpdir(), 'orama-firefox-'));
  if (authority !== undefined) await trustAuthority(profile, authority);
  const [address] = Object.values(hosts);
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: EXECUTABLE,
    headless: true,
    userDataDir: profile,
    extraPrefsFirefox: {
      ...PREFERENCES,
      ...(address === undefined ? {} : { 'network.dns.forceResolve': address }),
    },
  });
  return {
    version: await browser.version(),
    async newPage(): Promise<BrowserPage> {
      const page = await browser.newPage();
      await page.evaluateOnNewDocument(KEEP_CONNECTIONS);
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(`exception: ${error instanceof Error ? error.message : error}`));
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(`console: ${message.text()}`);
      });
      return {
        browserName: 'firefox',
        errors,
        goto: async (url) => void (await page.goto(url)),
        evaluate: <T>(expression: string) => page.evaluate(expression) as Promise<T>,
        close: () => page.close(),
      };
    },
    async close() {
      await browser.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
