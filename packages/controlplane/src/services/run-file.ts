import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@orama/core';
import { z } from 'zod';

/** `<dataDir>/run/<unit>.json`: which process a unit is, so that a new controlplane finds it again. */
const runFileSchema = z.object({
  unit: z.string(),
  pid: z.int().positive(),
  startTimeTicks: z.int().nonnegative(),
  bootId: z.string(),
  command: z.array(z.string()),
  configDigest: z.string(),
  startedAtMs: z.number(),
  /** Unix ms after which a process that was told to end is killed. */
  stopByMs: z.number().optional(),
});
export type RunFile = z.infer<typeof runFileSchema>;

const SUFFIX = '.json';

export async function writeRunFile(runDir: string, run: RunFile): Promise<void> {
  await writeFileAtomic(join(runDir, run.unit + SUFFIX), `${JSON.stringify(run, null, 2)}\n`);
}

export async function removeRunFile(runDir: string, unit: string): Promise<void> {
  await rm(join(runDir, unit + SUFFIX), { force: true });
}

/** Every readable run file; a damaged one is removed: it names no process that could be trusted. */
export async function readRunFiles(runDir: string): Promise<RunFile[]> {
  const runs: RunFile[] = [];
  for (const name of await readdir(runDir)) {
    if (!name.endsWith(SUFFIX)) continue;
    const path = join(runDir, name);
    try {
      runs.push(runFileSchema.parse(JSON.parse(await readFile(path, 'utf8'))));
    } catch {
      await rm(path, { force: true });
    }
  }
  return runs;
}
