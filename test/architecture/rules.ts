import type { SourceFile, WorkspacePackage } from './workspace.ts';

/** One broken rule: where, and what is wrong there. */
export interface Violation {
  where: string;
  rule: string;
}

/**
 * Which of our packages each package may import. The order of the layers is
 * `protocol < core < {store, turn, sfu} < {controlplane, gateway} < cmd`; parts of one layer talk over the wire.
 * A package that is not listed is a violation: whoever adds one decides its place here.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'packages/protocol': [],
  'packages/core': ['@orama/protocol'],
  'packages/store': ['@orama/protocol', '@orama/core'],
  'packages/turn': ['@orama/protocol', '@orama/core'],
  'packages/sfu': ['@orama/protocol', '@orama/core'],
  'packages/controlplane': ['@orama/protocol', '@orama/core', '@orama/store'],
  'packages/gateway': ['@orama/protocol', '@orama/core', '@orama/store'],
  'packages/client': ['@orama/protocol'],
  'packages/call-page': ['@orama/client'],
  'packages/testkit': ['@orama/protocol', '@orama/core', '@orama/sfu', '@orama/turn', '@orama/controlplane'],
  'cmd/orama': ['@orama/protocol', '@orama/core', '@orama/store', '@orama/sfu', '@orama/turn', '@orama/controlplane'],
  'cmd/controlplane': ['@orama/protocol', '@orama/core', '@orama/store', '@orama/controlplane'],
  'cmd/gateway': ['@orama/protocol', '@orama/core', '@orama/store', '@orama/gateway'],
  'cmd/sfu': ['@orama/protocol', '@orama/core', '@orama/sfu'],
  'cmd/turn': ['@orama/protocol', '@orama/core', '@orama/turn'],
};

/** Packages with native code or a lot of weight, and the only folders that import them. */
const IMPORTERS: Record<string, readonly string[]> = {
  mediabunny: ['packages/sfu/src/record/'],
  'better-sqlite3': ['packages/store/src/'],
  koffi: ['packages/core/src/service-notifier', 'packages/turn/src/udp/batched/'],
  'node-datachannel': ['packages/sfu/src/rtc/'],
  'node-turn': ['packages/turn/src/node-turn/'],
  'sdp-transform': ['packages/sfu/src/rtc/'],
  fastify: ['packages/gateway/src/', 'packages/controlplane/src/api/'],
  execa: ['packages/controlplane/src/run-tool', 'cmd/orama/src/'],
  'playwright-core': ['packages/testkit/src/browser/', 'cmd/orama/src/'],
  'puppeteer-core': ['packages/testkit/src/browser/'],
  pino: ['packages/core/src/'],
  'prom-client': ['packages/core/src/'],
  ws: ['packages/gateway/src/', 'packages/sfu/src/signalling/', 'packages/sfu/src/testing/', 'packages/testkit/src/'],
  vite: ['packages/call-page/'],
};

/** Folders that run in a browser: no module of Node there. */
const BROWSER_SIDE = ['packages/protocol/src/', 'packages/client/src/', 'packages/call-page/src/'];

/** The only places that look at the environment: what reads configuration. */
const ENVIRONMENT_READERS = ['packages/core/src/config/', 'cmd/orama/src/settings.ts'];

const startsWithAny = (text: string, prefixes: readonly string[]) => prefixes.some((prefix) => text.startsWith(prefix));
/** Tests, and what they share: `testing/` folders, which no build takes in. */
const isTest = ({ path }: SourceFile) => /\.test\.ts$|^test\/|\/testing\//.test(path);

/** `@scope/name/deep` → `@scope/name`; `name/deep` → `name`. */
function packageNameOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** Every rule that the files and manifests of a workspace break. */
export function findViolations(packages: WorkspacePackage[], files: SourceFile[]): Violation[] {
  return [...packages.flatMap((each) => manifestViolations(each, files)), ...files.flatMap(fileViolations)];
}

function manifestViolations(each: WorkspacePackage, files: SourceFile[]): Violation[] {
  const where = `${each.folder}/package.json`;
  const found: Violation[] = [];
  const allowed = MAY_IMPORT[each.folder];
  if (each.folder === 'test') return found;
  if (!allowed) return [{ where, rule: 'has no place in the layers: name it in MAY_IMPORT' }];
  const own = files.filter((file) => file.path.startsWith(`${each.folder}/`));
  const imported = new Set(own.flatMap((file) => file.imports.map(packageNameOf)));
  for (const name of each.dependencies) {
    if (name.startsWith('@orama/') && !allowed.includes(name))
      found.push({ where, rule: `must not depend on ${name}` });
    if (!imported.has(name)) found.push({ where, rule: `depends on ${name} and never imports it` });
  }
  const declared = new Set([...each.dependencies, ...each.devDependencies]);
  for (const file of own) {
    for (const name of file.imports.map(packageNameOf)) {
      const external = !name.startsWith('.') && !name.startsWith('node:');
      const forTests =
        isTest(file) &&
        (name === 'vitest' || name === 'fast-check' || each.folder === 'test' || name === '@orama/testkit');
      if (external && !forTests && !declared.has(name) && name !== each.name) {
        found.push({ where: file.path, rule: `imports ${name}, which ${where} does not name` });
      }
    }
  }
  return found;
}

function fileViolations(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  const report = (rule: string) => found.push({ where: file.path, rule });
  const folder = file.path.split('/', 2).join('/');
  const allowed = MAY_IMPORT[folder] ?? [];
  for (const specifier of file.imports) {
    const name = packageNameOf(specifier);
    if (specifier.startsWith('.')) {
      if (!file.resolved(specifier).startsWith(`${file.path.startsWith('test/') ? 'test' : folder}/`)) {
        report(`reaches into another package by path: ${specifier}`);
      }
      continue;
    }
    if (isTest(file)) continue;
    if (name === '@orama/testkit') report('imports @orama/testkit outside of tests');
    else if (name.startsWith('@orama/') && !allowed.includes(name)) report(`must not import ${name}`);
    const importers = IMPORTERS[name];
    if (importers && !startsWithAny(file.path, importers)) {
      report(`imports ${name}; only ${importers.join(', ')} may`);
    }
    if (specifier.startsWith('node:') && startsWithAny(file.path, BROWSER_SIDE)) {
      report(`runs in browsers and imports ${specifier}`);
    }
  }
  if (/\bprocess\s*\.\s*env\b|\bprocess\s*\[/.test(file.code) && !isTest(file)) {
    if (!startsWithAny(file.path, ENVIRONMENT_READERS)) report('reads process.env; only configuration loaders may');
  }
  return found;
}
