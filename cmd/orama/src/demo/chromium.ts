import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '@orama/core';
import { type Browser, chromium } from 'playwright-core';
import type { Settings } from '../settings.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const ARGUMENTS = [
  // A moving picture and a beep instead of a camera and a microphone, and no question whether they may be used.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  // Containers have a small /dev/shm.
  '--disable-dev-shm-usage',
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

/** Starts the system's Chromium, headless and with fake devices. Throws when there is none. */
export async function launchChromium(settings: Pick<Settings, 'chromium' | 'path'>): Promise<Browser> {
  const executablePath = settings.chromium ?? findProgram(settings.path);
  if (executablePath === undefined) {
    throw new UserError('UNAVAILABLE', `no Chromium was found (looked for ${NAMES.join(', ')})`, {
      hint: 'on Debian run "apt-get install -y chromium", or name one with ORAMA_CHROMIUM=<program>',
    });
  }
  // Signals are ours to handle: the pages are closed in order.
  return chromium.launch({
    executablePath,
    args: ARGUMENTS,
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
}

function findProgram(folders: string[]): string | undefined {
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
