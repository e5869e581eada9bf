// Bundles each of our programs from its sources into cmd/<program>/dist: Node would look for, read and compile some
// hundreds of modules at each start. What a command loads late is a file of its own there. A file that stays as it was is
// not written.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';

const REPOSITORY = resolve(import.meta.dirname, '../..');
/** Programs, each with what it starts as a thread or process from a file beside its own. */
const PROGRAMS: Record<string, string[]> = {
  orama: [],
  controlplane: [],
  gateway: [],
  sfu: ['packages/sfu/src/worker/worker-process.ts'],
  turn: ['packages/turn/src/workers/worker-thread.ts'],
};
/** Native packages, and one that looks for its own files: they stay where pnpm has put them. */
const EXTERNAL = /^(better-sqlite3|koffi|node-datachannel|playwright-core)$/;

/** Only the package that has one of them as a dependency could find it by its name. */
const external: Plugin = {
  name: 'external-by-path',
  resolveId: {
    filter: { id: EXTERNAL },
    async handler(name, importer, options) {
      const found = await this.resolve(name, importer, { ...options, skipSelf: true });
      if (!found) throw new Error(`${importer} imports ${name}, which is not installed`);
      return { id: found.id, external: 'absolute' };
    },
  },
};

await Promise.all(Object.entries(PROGRAMS).map(([name, others]) => bundle(name, others)));

async function bundle(name: string, others: string[]): Promise<void> {
  const dist = join(REPOSITORY, 'cmd', name, 'dist');
  const entries = [`cmd/${name}/src/main.ts`, ...others];
  const build = await rolldown({
    cwd: REPOSITORY,
    input: Object.fromEntries(entries.map((path) => [basename(path, '.ts'), join(REPOSITORY, path)])),
    platform: 'node',
    // Workspace packages are their sources: no build of theirs can be stale.
    resolve: { conditionNames: ['source', 'node', 'import', 'module', 'default'] },
    plugins: [external],
  });
  const { output } = await build.generate({
    // All in one folder: INSTALL_DIR of packages/core and what is started beside a program count on it.
    entryFileNames: '[name].js',
    // A program that runs never loads a part of another build: it would take its functions for others.
    chunkFileNames: '[name]-[hash].js',
    paths: (id) => (id.startsWith(REPOSITORY) ? relative(dist, id) : id),
  });
  await build.close();
  mkdirSync(dist, { recursive: true });
  const made = new Map(output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : file.source]));
  for (const [file, content] of made) {
    const path = join(dist, file);
    if (!existsSync(path) || readFileSync(path, 'utf8') !== content) writeFileSync(path, content);
  }
  for (const file of readdirSync(dist)) if (/\.js(\.map)?$/.test(file) && !made.has(file)) rmSync(join(dist, file));
}
