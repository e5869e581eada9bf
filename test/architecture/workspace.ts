import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** The repository's root. */
const ROOT = join(import.meta.dirname, '../..');

export interface WorkspacePackage {
  /** Path from the root: `packages/core`. */
  folder: string;
  name: string;
  dependencies: string[];
  devDependencies: string[];
}

/** A TypeScript file with what the rules look at. */
export class SourceFile {
  /** Path from the root. */
  readonly path: string;
  /** The text without comments. */
  readonly code: string;
  /** Module specifiers of static, dynamic, type-only and re-exporting imports, and of `require`. */
  readonly imports: string[];

  constructor(path: string, text: string) {
    this.path = path;
    this.code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|[\s;{}(,])\/\/[^\n]*/g, '$1');
    const specifier = /(?<![.\w])(?:from|import|require)\s*\(?\s*(['"])([\w@./:#-]+)\1/g;
    this.imports = [...this.code.matchAll(specifier)].map((match) => match[2] as string);
  }

  /** Where a relative specifier of this file leads, from the root. */
  resolved(specifier: string): string {
    return normalize(join(dirname(this.path), specifier));
  }
}

/** Every package of the workspace. */
export function readPackages(): WorkspacePackage[] {
  return globSync(['packages/*/package.json', 'cmd/*/package.json', 'test/package.json'], { cwd: ROOT }).map((path) => {
    const manifest = JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as {
      name: string;
      dependencies?: Record<string, string>;
      devDependencies?: Record<string, string>;
    };
    return {
      folder: dirname(path),
      name: manifest.name,
      dependencies: Object.keys(manifest.dependencies ?? {}),
      devDependencies: Object.keys(manifest.devDependencies ?? {}),
    };
  });
}

/** Every TypeScript file of the workspace, tests included; without this folder, which holds broken examples. */
export function readSources(): SourceFile[] {
  const patterns = [
    'packages/*/{src,testing}/**/*.ts',
    'packages/*/*.ts',
    'cmd/*/{src,testing}/**/*.ts',
    'test/**/*.ts',
  ];
  return globSync(patterns, { cwd: ROOT, exclude: ['**/node_modules/**', '**/dist/**'] })
    .filter((path) => !path.endsWith('.d.ts') && !path.startsWith('test/architecture/'))
    .map((path) => new SourceFile(path, readFileSync(join(ROOT, path), 'utf8')));
}
