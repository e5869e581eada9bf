import { spawnSync } from 'node:child_process';

const TIMEOUT_MS = 300_000;

interface RunOptions {
  cwd: string;
  environment?: Record<string, string>;
  mayFail?: boolean;
}

/** Runs a program to its end. Throws what it printed when it fails. */
export function run(
  program: string,
  args: readonly string[],
  { cwd, environment = {}, mayFail = false }: RunOptions,
): { status: number | null; output: string } {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...environment },
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 26,
  });
  if (error) throw error;
  const output = `${stdout}${stderr}`;
  if (status !== 0 && !mayFail) throw new Error(`${program} ${args.join(' ')} failed:\n${output}`);
  return { status, output };
}

/** Runs pnpm: the one of this machine, or the one that npm fetches. */
export function runPnpm(cwd: string, args: readonly string[]): void {
  try {
    run('pnpm', args, { cwd });
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
    run('npx', ['-y', 'pnpm@12', ...args], { cwd });
  }
}
