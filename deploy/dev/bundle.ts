// Bundles each of our programs from its sources into cmd/<program>/dist, of this checkout or of the folder that is named:
// Node would look for, read and compile some hundreds of modules at each start.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import http from 'node:http';
import { basename, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type OutputAsset, type OutputChunk, type Plugin, rolldown } from 'rolldown';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const TARGET = resolve(parseArgs({ allowPositionals: true }).positionals[0] ?? REPOSITORY);
/** Parts of earlier builds are kept for programs that run, and load them late. */
const KEPT_MS = 24 * 3_600_000;
/** Programs, each with what it starts as a thread or process from a file beside its own. */
const PROGRAMS: Record<string, string[]> = {
  orama: [],
  controlplane: [],
  gateway: [],
  sfu: ['packages/sfu/src/worker/worker-process.ts'],
  turn: ['packages/turn/src/workers/worker-thread.ts'],
};
/** Native packages, which deploy/release/packages.ts ships, and one that looks for its own files: they stay where pnpm has put them. */
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

/**
 * Of a module of its own that is imported Node reads every export, and so loads what hardly anybody asks for. With
 * node:http that is all of fetch and WebSocket, a fifth of the time that `orama` takes to start: here are its others.
 */
const lightHttp: Plugin = {
  name: 'light-http',
  resolveId(name, _importer, { kind }) {
    return kind === 'import-statement' && name === 'node:http' ? '\0light-http' : null;
  },
  load(id) {
    if (id !== '\0light-http') return null;
    const all = Object.entries(Object.getOwnPropertyDescriptors(http));
    const names = all.filter(([, property]) => 'value' in property).map(([name]) => name);
    return `const http = process.getBuiltinModule('node:http');\nexport default http;\nexport const { ${names.join(', ')} } = http;`;
  },
};

await Promise.all(Object.entries(PROGRAMS).map(([name, others]) => bundle(name, others)));

async function bundle(name: string, others: string[]): Promise<void> {
  const dist = join('cmd', name, 'dist');
  const entries = [`cmd/${name}/src/main.ts`, ...others];
  const build = await rolldown({
    cwd: REPOSITORY,
    input: Object.fromEntries(entries.map((path) => [basename(path, '.ts'), join(REPOSITORY, path)])),
    platform: 'node',
    // Workspace packages are their sources: no build of theirs can be stale.
    resolve: { conditionNames: ['source', 'node', 'import', 'module', 'default'] },
    plugins: [external, lightHttp],
  });
  const { output } = await build.generate({
    // All in one folder: INSTALL_DIR of packages/core and what is started beside a program count on it.
    entryFileNames: '[name].js',
    // What a command loads late is a part of its own, and never one of another build than the rest.
    chunkFileNames: '[name]-[hash].js',
    paths: (id) => (id.startsWith(REPOSITORY) ? relative(join(REPOSITORY, dist), id) : id),
  });
  await build.close();
  mkdirSync(join(TARGET, dist), { recursive: true });
  // The entries last, for they need the others.
  const isEntry = (file: OutputChunk | OutputAsset) => Number(file.type === 'chunk' && file.isEntry);
  for (const file of output.toSorted((a, b) => isEntry(a) - isEntry(b))) {
    write(join(TARGET, dist, file.fileName), file.type === 'chunk' ? file.code : file.source);
  }
  removeOld(join(TARGET, dist));
}

/** At no time is a file there in part, or no file. One that stays as it was is only marked as of this build. */
function write(path: string, content: string | Uint8Array): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === content) {
    utimesSync(path, new Date(), new Date());
  } else {
    writeFileSync(`${path}.${process.pid}`, content);
    renameSync(`${path}.${process.pid}`, path);
  }
}

function removeOld(folder: string): void {
  for (const path of readdirSync(folder).map((file) => join(folder, file)))
    if (/\.js(\.\d+)?$/.test(path) && Date.now() - statSync(path).mtimeMs > KEPT_MS) rmSync(path);
}
