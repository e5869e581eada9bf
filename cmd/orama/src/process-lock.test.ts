import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataDir, lockHolder } from './dev/lock.ts';
import { identify } from './process-identity.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'orama-lock-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const writeLock = (pid: number, startTime: string) =>
  writeFileSync(join(dataDir, 'dev.lock'), JSON.stringify({ pid, startTime }));

/** Number of a process that has just ended. */
async function endedPid(): Promise<number> {
  const child = execa(process.execPath, ['--eval', '']);
  await child;
  return child.pid as number;
}

describe('ProcessLock', () => {
  it('is refused while a running process holds it, naming the process and the data directory', () => {
    const lock = lockDataDir(dataDir);
    expect(() => lockDataDir(dataDir)).toThrow(`already runs on ${dataDir} (process ${process.pid})`);
    expect(lockHolder(dataDir)).toEqual(identify(process.pid));
    lock.release();
    expect(lockHolder(dataDir)).toBeUndefined();
    lockDataDir(dataDir).release();
  });

  it('is taken over from a process that is gone', async () => {
    writeLock(await endedPid(), '12345');
    const lock = lockDataDir(dataDir);
    expect(lockHolder(dataDir)?.pid).toBe(process.pid);
    lock.release();
  });

  it('is taken over when its process number belongs to another process by now', () => {
    writeLock(process.pid, '1');
    expect(lockHolder(dataDir)).toBeUndefined();
    lockDataDir(dataDir).release();
  });

  it('is taken over from a damaged file', () => {
    writeFileSync(join(dataDir, 'dev.lock'), '{"pid":');
    lockDataDir(dataDir).release();
  });

  it('does not give back what another process holds by now', () => {
    const lock = lockDataDir(dataDir);
    writeLock(1, identify(1)?.startTime ?? '');
    lock.release();
    expect(lockHolder(dataDir)?.pid).toBe(1);
  });

  it('goes to exactly one of several processes that find a stale one at once', async () => {
    writeLock(await endedPid(), '12345');
    const script = `
      import { lockDataDir } from ${JSON.stringify(new URL('./dev/lock.ts', import.meta.url).href)};
      let word = 'won';
      try { lockDataDir(${JSON.stringify(dataDir)}); } catch (error) { word = error.code; }
      process.stdout.write(word);
      process.stdin.resume();
    `;
    const starters = Array.from({ length: 6 }, () =>
      execa(process.execPath, ['--conditions=source', '--input-type=module', '--eval', script], { stdin: 'pipe' }),
    );
    // Each has spoken once and holds on until its input ends, so that none finds the winner gone.
    const words = await Promise.all(
      starters.map((starter) => new Promise((resolve) => starter.stdout.once('data', (data) => resolve(String(data))))),
    );
    for (const starter of starters) starter.stdin.end();
    await Promise.all(starters);
    expect(words.filter((word) => word === 'won')).toHaveLength(1);
    expect(words.filter((word) => word === 'CONFLICT')).toHaveLength(5);
  });
});
