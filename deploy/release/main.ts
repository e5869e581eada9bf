// Builds a release: a tarball, a Debian package, the installer and their checksums. The same sources give the same bytes.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeDeb } from './deb.ts';
import { run } from './programs.ts';
import { makeTree, tryPrograms } from './tree.ts';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const HELP = `Usage: pnpm release [--out <folder>] [--fast] [--json]

Builds a release for Linux on x64 into .orama/release: orama-webrtc-<version>-linux-x64.tar.gz, which carries Node, rqlited
and all production packages, orama-webrtc_<version>_amd64.deb, install.sh and SHA256SUMS. A node needs no registry.
--fast compresses less.

Example:
  npx -y pnpm@12 release --out /srv/releases`;

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(REPOSITORY, '.orama/release') },
    fast: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) {
  console.log(HELP);
} else if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error('error: a release is built on Linux on x64, whose native packages it carries');
  process.exitCode = 1;
} else {
  build(resolve(values.out));
}

function build(out: string): void {
  mkdirSync(out, { recursive: true });
  const work = join(out, `.work-${process.pid}`);
  try {
    const tree = join(work, 'tree');
    mkdirSync(tree, { recursive: true });
    const identity = makeTree(REPOSITORY, tree);
    tryPrograms(tree);
    const epoch = run('git', ['log', '-1', '--format=%ct'], { cwd: REPOSITORY }).output.trim();
    const name = `orama-webrtc-${identity.version}-linux-x64`;
    const made = [`${name}.tar.gz`, `orama-webrtc_${identity.version}_amd64.deb`, 'install.sh'];
    const [tarball = '', deb = '', installer = ''] = made.map((file) => join(work, file));
    const options = { epoch, level: values.fast ? 1 : 6 };
    makeTarball(tree, name, tarball, options);
    makeDeb(tree, identity, deb, options);
    copyFileSync(join(REPOSITORY, 'deploy/install.sh'), installer);
    const sums = made.map((file) => `${sha256(join(work, file))}  ${file}\n`);
    writeFileSync(join(work, 'SHA256SUMS'), sums.join(''));
    for (const file of [...made, 'SHA256SUMS']) renameSync(join(work, file), join(out, file));
    const result = made.map((file) => ({ file: join(out, file), bytes: statSync(join(out, file)).size }));
    if (values.json) console.log(JSON.stringify({ ...identity, files: result }, null, 2));
    else for (const { file, bytes } of result) console.log(`${(bytes / 1e6).toFixed(1).padStart(6)} MB  ${file}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function makeTarball(
  tree: string,
  name: string,
  file: string,
  { epoch, level }: { epoch: string; level: number },
): void {
  const plain = `${file}.tar`;
  run(
    'tar',
    [
      ...['--create', '--file', plain, '--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'],
      ...[`--mtime=@${epoch}`, '--mode=u=rwX,go=rX', `--transform=flags=rSh;s,^\\.,${name},`, '.'],
    ],
    { cwd: tree },
  );
  run('gzip', ['--no-name', `-${level}`, plain], { cwd: tree });
  renameSync(`${plain}.gz`, file);
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
