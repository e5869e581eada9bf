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
  /** Where it answers `/healthz`. */
  health: z.object({ address: z.string(), port: z.number() }).optional(),
  /** Of a process that was told to end: the Unix ms after which it is killed, and how long it got in all. */
  stopByMs: z.number().optional(),
  stopWithinMs: z.number().optional(),
});
export type RunFile = z.infer<typeof runFileSchema>;

const SUFFIX = '.json';

export async function writeRunFile(runDir: string, run: RunFile): Promise<void> {
  await writeFileAtomic(join(runDir, run.unit + SUFFIX), `${JSON.stringify(run, null, 2)}\n`);
}

export async function removeRunFile(runDir: string, unit: string): Promise<void> {
  await rm(join(runDir, unit + SUFFIX), { force: true });
}

/** Every run file, with null for the content of a damaged one; none when there is no such directory. */
export async function readRunFiles(runDir: string): Promise<{ unit: string; run: RunFile | null }[]> {
  const names = await readdir(runDir).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return [];
    throw thrown;
  });
  return Promise.all(
    names
      .filter((name) => name.endsWith(SUFFIX))
      .map(async (name) => {
        const unit = name.slice(0, -SUFFIX.length);
        try {
          const run = runFileSchema.parse(JSON.parse(await readFile(join(runDir, name), 'utf8')));
          return { unit, run: run.unit === unit ? run : null };
        } catch {
          return { unit, run: null };
        }
      }),
  );
}
