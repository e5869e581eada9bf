import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describeError, INSTALL_DIR } from '@orama/core';
import { reinstall, thisPlace } from '../remedies.ts';
import { failed, type Line, passed } from './line.ts';

const run = promisify(execFile);
const NODE_MAJOR = 24;
const LOAD_TIMEOUT_MS = 20_000;

/** Packages with native code, who of ours has them, and what shows that they work. */
const NATIVE = [
  { name: 'node-datachannel', owner: 'packages/sfu', use: 'module.getLibraryVersion?.()' },
  { name: 'better-sqlite3', owner: 'packages/store', use: "new module.default(':memory:').close()" },
  { name: 'koffi', owner: 'packages/core', use: "module.default.load('libc.so.6')" },
] as const;

/** Whether this Node can run our programs. */
export function checkNode(version = process.versions.node): Line {
  if (Number(version.split('.')[0]) >= NODE_MAJOR) return passed('node', `Node ${version}`);
  return failed(
    'node',
    `Node ${version} is too old`,
    thisPlace().isRelease
      ? 'run /opt/orama/bin/orama, which brings its own along'
      : `install Node ${NODE_MAJOR} or newer, or run "npx -y pnpm@12 orama", which brings it along`,
  );
}

/** Whether each package with native code can be loaded, in a process of its own: one that is broken may end it. */
export function checkNativeModules(): Promise<Line[]> {
  return Promise.all(NATIVE.map(({ name, owner, use }) => checkModule(name, owner, use)));
}

async function checkModule(name: string, owner: string, use: string): Promise<Line> {
  const id = `native:${name}`;
  try {
    return await checkLoads(id, createRequire(join(INSTALL_DIR, owner, 'package.json')).resolve(name), use);
  } catch (thrown) {
    return failed(id, describeError(thrown), reinstall(thisPlace()));
  }
}

/** Whether a module can be loaded. @param use what is done with `module` then */
export async function checkLoads(id: string, path: string, use: string): Promise<Line> {
  const platform = `${process.platform}-${process.arch}, Node ${process.versions.node}`;
  const script = `const module = await import(${JSON.stringify(pathToFileURL(path).href)}); ${use};`;
  try {
    await run(process.execPath, ['--input-type=module', '--eval', script], { timeout: LOAD_TIMEOUT_MS });
    return passed(id, `loads (${platform})`);
  } catch (thrown) {
    return failed(id, `cannot be loaded (${platform}): ${whyNot(thrown)}`, reinstall(thisPlace()));
  }
}

/** The line of the error itself, of what a process wrote before it ended. */
function whyNot(thrown: unknown): string {
  const { stderr = '', signal } = thrown as { stderr?: string; signal?: string };
  const line = stderr.split('\n').find((text) => /^\w*Error\b/.test(text));
  if (line) return line;
  return signal ? `the process ended by ${signal}` : describeError(thrown);
}
