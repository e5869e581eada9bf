import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { digestOf } from '@orama/controlplane/enrolment';
import { readSecretFile, UserError, writeFileAtomic } from '@orama/core';
import type { EnrolAnswer, EnrolRequest } from '@orama/protocol';
import { PATHS } from './paths.ts';

/**
 * Those of the cluster's secret files that this machine has already; joining brings the others. Throws for one that lies
 * where joining writes nothing, and for one that others can read.
 */
export function presentSecrets(paths: readonly string[], folder: string = PATHS.etc): EnrolRequest['secretFiles'] {
  return paths.flatMap((path) => {
    if (existsSync(path)) return [{ path, sha256: digestOf(readSecretFile(path)) }];
    // Whoever answers is not to choose what root writes on this machine.
    if (dirname(normalize(path)) === folder) return [];
    throw new UserError('PRECONDITION_FAILED', `there is no ${path}, which the settings of the cluster name`, {
      hint: `copy it from a node of the cluster, mode 0600; only those in ${folder} come with the join`,
    });
  });
}

/** Writes the secrets that are not here yet, and first a list of them, by which leaving takes them away. */
export async function bringSecrets(files: EnrolAnswer['secretFiles'], folder: string = PATHS.etc): Promise<void> {
  const missing = files.filter(({ path }) => !existsSync(path) && dirname(normalize(path)) === folder);
  if (missing.length === 0) return;
  const listed = new Set([...(await broughtSecrets(folder)), ...missing.map(({ path }) => path)]);
  await writeFileAtomic(listIn(folder), `${[...listed].join('\n')}\n`);
  for (const { path, secret } of missing) await writeFileAtomic(path, `${secret}\n`);
}

/** Files that a join brought. */
export async function broughtSecrets(folder: string = PATHS.etc): Promise<string[]> {
  const text = await readFile(listIn(folder), 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

function listIn(folder: string): string {
  return join(folder, 'brought');
}
