import {
  copyFileSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { runPnpm } from './programs.ts';

/** What `pnpm install` reads. */
const MANIFESTS = [
  'package.json',
  'pnpm-workspace.yaml',
  'pnpm-lock.yaml',
  'patches/*',
  '{cmd,packages,.}/*/package.json',
];
/** What a release still needs of those: they say that our programs are modules, and of which version. */
const MANIFESTS_SHIPPED = /^(cmd\/\w+\/)?package\.json$/;
/** Packages that no bundle has in it, and which of ours each belongs to. */
export const NATIVE = ['packages/core:koffi', 'packages/store:better-sqlite3', 'packages/sfu:node-datachannel'];
/** Packages that no service needs: Node is shipped as one program, browsers are driven in checkouts only, headers. */
const DROPPED_PACKAGES = ['node-linux-*', 'playwright-core@*', '@types+*', 'node-addon-api@*'];
/** Of packages: what is not read when they run. */
const DROPPED_FILES = ['*.ts', '*.mts', '*.cts', '*.map', '*.md', '*.markdown', '*.gyp', 'CMakeLists.txt'];
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
const NATIVE_SOURCES = ['better-sqlite3/{deps,src}', 'node-datachannel/src', 'koffi/{lib,vendor}'];
const NATIVE_HERE = /\/(linux[_-]x64|linux-x64-gnu)[/.]/;
/** A package is <store name>/node_modules/<name>, or .../@<scope>/<name>. */
const IN_PACKAGE = ['*/node_modules/*', '*/node_modules/@*/*'];

/** Lays out the packages that our programs load, and the licences of those that are in their bundles. */
export function installPackages(repository: string, tree: string): void {
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
  const packages = join(tree, 'node_modules/.pnpm');
  const drop = (...patterns: string[]) => {
    for (const path of globSync(patterns, { cwd: packages })) remove(packages, path);
  };
  drop(...DROPPED_PACKAGES);
  const kept = new Set<string>();
  for (const native of NATIVE) reach(realpathSync(packages), join(tree, native.replace(':', '/node_modules/')), kept);
  copyLicenses(packages, kept, join(tree, 'licenses'));
  for (const name of readdirSync(packages)) if (!kept.has(name)) remove(packages, name);
  drop(...IN_PACKAGE.flatMap((root) => DROPPED_FOLDERS.map((name) => join(root, name))));
  drop(...NATIVE_SOURCES.map((path) => join('*/node_modules', path)));
  drop('**/.bin');
  drop(...DROPPED_FILES.map((name) => join('**', name)));
  for (const path of globSync('**/*.node', { cwd: packages })) if (!NATIVE_HERE.test(path)) remove(packages, path);
  for (const path of globSync('**/*', { cwd: packages })) if (isDangling(join(packages, path))) remove(packages, path);
  dropLinks(tree);
  for (const path of MANIFESTS.flatMap((pattern) => globSync(pattern, { cwd: tree })))
    if (!MANIFESTS_SHIPPED.test(path)) remove(tree, path);
}

/** Follows the links of pnpm from a package to all that it imports: names in `packages`. */
function reach(packages: string, link: string, found: Set<string>): void {
  if (!existsSync(link)) return;
  const [name = ''] = relative(packages, realpathSync(link)).split('/');
  if (found.has(name)) return;
  found.add(name);
  const beside = join(packages, name, 'node_modules');
  for (const path of globSync(['[!@]*', '@*/*'], { cwd: beside })) reach(packages, join(beside, path), found);
}

/** Of every package that is not shipped itself, for it may be in a bundle. */
function copyLicenses(packages: string, kept: ReadonlySet<string>, licenses: string): void {
  mkdirSync(licenses);
  for (const path of globSync(IN_PACKAGE, { cwd: packages })) {
    const [name = ''] = path.split('/');
    const folder = join(packages, path);
    if (kept.has(name) || lstatSync(folder).isSymbolicLink() || !existsSync(join(folder, 'package.json'))) continue;
    const { license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { license?: string };
    const texts = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
    const text = texts.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
    writeFileSync(join(licenses, name), text || `${license}\n`);
  }
}

/** Of the links to packages only those to native ones lead somewhere. What pnpm keeps for its next run names this machine. */
function dropLinks(tree: string): void {
  const links = globSync('{cmd,packages}/*/node_modules/{.*,*,@*/*}', { cwd: tree });
  for (const path of links) if (!NATIVE.includes(path.replace('/node_modules/', ':'))) remove(tree, path);
  for (const path of globSync('node_modules/{.*,*}', { cwd: tree }))
    if (path !== 'node_modules/.pnpm') remove(tree, path);
}

function isDangling(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && !existsSync(path);
}

function remove(folder: string, path: string): void {
  rmSync(join(folder, path), { recursive: true, force: true });
}
