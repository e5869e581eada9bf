import { fstatSync } from 'node:fs';

/** Whether what is written there goes to the journal itself, as systemd tells its services (systemd.exec(5)). */
export function isJournal(descriptor: number, { JOURNAL_STREAM: journal }: NodeJS.ProcessEnv = process.env): boolean {
  if (!journal) return false;
  try {
    const { dev, ino } = fstatSync(descriptor);
    return journal === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
