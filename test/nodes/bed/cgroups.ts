import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';
/** The hierarchies that systemd uses: its own two beside those of version 1, or the only one there is. */
const HIERARCHIES = ['systemd', 'unified'].map((name) => join(ROOT, name)).filter(existsSync);
const TREES = HIERARCHIES.length > 0 ? HIERARCHIES : [ROOT];

/** Makes a control group; its folders. Nodes that share one would take each other's units for their own. */
export function makeCgroup(name: string): string[] {
  return TREES.map((tree) => {
    const folder = join(tree, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  });
}

/** Names of the control groups that begin so. */
export function cgroupsOf(prefix: string): string[] {
  return [...new Set(TREES.flatMap((tree) => readdirSync(tree).filter((name) => name.startsWith(prefix))))];
}

/** Processes of a control group and those below. */
export function pidsOf(name: string): number[] {
  const seen = (folder: string): number[] => [
    ...readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number),
    ...foldersOf(folder).flatMap(seen),
  ];
  return [...new Set(TREES.flatMap((tree) => (existsSync(join(tree, name)) ? seen(join(tree, name)) : [])))];
}

/** Removes a control group without processes. */
export function removeCgroup(name: string): void {
  const remove = (folder: string) => {
    try {
      for (const child of foldersOf(folder)) remove(child);
      rmdirSync(folder);
    } catch (thrown) {
      // Another bed that begins takes the same away.
      if (existsSync(folder)) throw thrown;
    }
  };
  for (const tree of TREES) if (existsSync(join(tree, name))) remove(join(tree, name));
}

function foldersOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}
