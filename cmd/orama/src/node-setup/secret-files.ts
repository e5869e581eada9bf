import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, normalize } from 'node:path';
import { digestOf } from '@orama/controlplane/enrolment';
import { readSecretFile, UserError, writeFileAtomic } from '@orama/core';
import type { EnrolAnswer, EnrolRequest } from '@orama/protocol';
import { z } from 'zod';
import { PATHS } from './paths.ts';

const listSchema = z.array(z.string());

/** Names that mean something to us, whether they are there yet or not. */
const OURS = new Set(
  Object.values(PATHS)
    .flat()
    .flatMap((path) => (dirname(path) === PATHS.etc ? [basename(path)] : [])),
);

/**
 * The cluster's secret files as this machine has them; joining brings those that are missing. Throws for one that joining may
 * not write, and for one that others can read.
 */
export function lookForSecrets(paths: readonly string[], folder: string = PATHS.etc): EnrolRequest['secretFiles'] {
  return paths.map((path) => {
    if (existsSync(path)) return { path, sha256: digestOf(readSecretFile(path)) };
    requireMayBring(path, folder);
    return { path, sha256: null };
  });
}

/** Writes the secrets that are not here yet, and first a list of them, by which leaving takes them away. Throws as above. */
export async function bringSecrets(files: EnrolAnswer['secretFiles'], folder: string = PATHS.etc): Promise<void> {
  const missing = files.filter(({ path }) => !existsSync(path));
  for (const { path } of missing) requireMayBring(path, folder);
  if (missing.length === 0) return;
  const listed = new Set([...(await broughtSecrets(folder)), ...missing.map(({ path }) => path)]);
  await writeFileAtomic(listIn(folder), `${JSON.stringify([...listed])}\n`);
  for (const { path, secret } of missing) await writeFileAtomic(path, `${secret}\n`);
}

/** Files that a join brought. */
export async function broughtSecrets(folder: string = PATHS.etc): Promise<string[]> {
  const kept = await readFile(listIn(folder), 'utf8').catch(() => '[]');
  // Root takes away what stands there.
  return parseList(kept).filter((path) => mayBring(path, folder));
}

/** Throws nothing: a machine is to be cleared whatever stands there. */
function parseList(text: string): string[] {
  try {
    return listSchema.parse(JSON.parse(text));
  } catch {
    return [];
  }
}

/** Whoever answers a join is not to choose what root writes on this machine, nor what root takes away later. */
function mayBring(path: string, folder: string): boolean {
  return dirname(path) === folder && normalize(path) === path && !OURS.has(basename(path));
}

function requireMayBring(path: string, folder: string): void {
  if (mayBring(path, folder)) return;
  throw new UserError('PRECONDITION_FAILED', `there is no ${path}, which the settings of the cluster name`, {
    hint: `copy it from a node of the cluster, mode 0600; only those in ${folder} come with the join, under names that Orama has no use for`,
  });
}

function listIn(folder: string): string {
  return join(folder, basename(PATHS.brought));
}
