import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DnsMetrics } from '@orama/controlplane';
import { createMetrics } from '@orama/core/metrics';
import { LocalCluster, REPOSITORY, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** What is in deploy/prometheus and deploy/grafana, tried by a real Prometheus on a real cluster. */
const run = promisify(execFile);
const DEPLOY = join(REPOSITORY, 'deploy');
const RULES = join(DEPLOY, 'prometheus/orama.rules.yml');
/** May have nothing to show on a cluster where all is well. */
const MAY_BE_EMPTY = /result="failed"/;

let cluster: LocalCluster;
let folder: string;
let prometheus: ChildProcess;
let base: string;

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 159 });
  await cluster.createEnabled('seen');
  folder = mkdtempSync(join(tmpdir(), 'orama-prometheus-'));
  const config = readFileSync(join(DEPLOY, 'prometheus/prometheus.yml'), 'utf8')
    .replaceAll('http://10.0.0', `http://${cluster.prefix}.0`)
    .replaceAll(/(scrape_interval|evaluation_interval|refresh_interval): \S+/g, '$1: 1s')
    .replace('orama.rules.yml', RULES);
  expect(config).toContain(cluster.node(1).api);
  writeFileSync(join(folder, 'prometheus.yml'), config);
  const listen = `${cluster.prefix}.9.9:9090`;
  base = `http://${listen}`;
  const options = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`];
  prometheus = spawn('prometheus', [...options, `--web.listen-address=${listen}`, '--log.level=warn'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
});
afterAll(async () => {
  if (prometheus && prometheus.exitCode === null) {
    prometheus.kill('SIGTERM');
    await once(prometheus, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
  await cluster?.stop();
});

/** The data of an answer of Prometheus's API. */
async function api<T>(path: string, query: Record<string, string> = {}): Promise<T> {
  const response = await fetch(`${base}/api/v1/${path}?${new URLSearchParams(query)}`);
  const answer = (await response.json()) as { status: string; error?: string; data: T };
  if (answer.status !== 'success') throw new Error(`${JSON.stringify(query)}: ${answer.error}`);
  return answer.data;
}

interface Target {
  labels: Record<string, string>;
  scrapeUrl: string;
  health: string;
}
const targets = async () => (await api<{ activeTargets: Target[] }>('targets')).activeTargets;

/** Expressions of the dashboard's panels, with its variables set to all, and those of the alerts. */
async function expressions(): Promise<{ panels: string[]; rules: string[] }> {
  const dashboard = JSON.parse(readFileSync(join(DEPLOY, 'grafana/orama.json'), 'utf8')) as {
    panels: { targets?: { expr: string }[] }[];
    templating: { list: { definition?: string }[] };
  };
  const all = (text: string) => text.replaceAll(/\$(node|ns)\b/g, '.*').replaceAll('$__rate_interval', '20s');
  const panels = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => all(expr)));
  const variables = dashboard.templating.list.flatMap(({ definition }) =>
    definition === undefined ? [] : [definition.replace(/^label_values\((.*), \w+\)$/, '$1')],
  );
  const { groups } = await api<{ groups: { rules: { query: string }[] }[] }>('rules');
  return { panels: [...panels, ...variables], rules: groups.flatMap(({ rules }) => rules.map(({ query }) => query)) };
}

const KEYWORDS = new Set(['by', 'without', 'on', 'ignoring', 'and', 'or', 'unless', 'bool', 'offset']);

/** Names of metrics in an expression of PromQL: what is left without strings, matchers, ranges, lists of labels and functions. */
function metricsIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replaceAll(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, ' ');
  return [...bare.matchAll(/[a-z_:][a-zA-Z0-9_:]*(?!\w*\s*\()/g)]
    .map(([name]) => name)
    .filter((name) => !KEYWORDS.has(name));
}

test('metricsIn() finds every metric of an expression, and nothing else', () => {
  expect(
    metricsIn('histogram_quantile(0.5, sum by (le) (rate(a_bucket{ns=~"b|c"}[5m]))) > 3 * d unless on (e) f'),
  ).toEqual(['a_bucket', 'd', 'f']);
  expect(metricsIn('count(up{job="x"} == 0) or vector(0)')).toEqual(['up']);
});

test('promtool finds the rules and their tests good', async () => {
  expect((await run('promtool', ['check', 'rules', RULES])).stdout).toMatch(/SUCCESS: \d+ rules/);
  const { stdout } = await run('promtool', ['test', 'rules', join(DEPLOY, 'prometheus/orama.rules.test.yml')]);
  expect(stdout).toContain('SUCCESS');
  const tested = readFileSync(join(DEPLOY, 'prometheus/orama.rules.test.yml'), 'utf8');
  const alerts = [...readFileSync(RULES, 'utf8').matchAll(/alert: (\w+)/g)].map(([, name]) => name ?? '');
  expect(alerts.filter((name) => !tested.includes(`alertname: ${name}`))).toEqual([]);
});

test('every process of the cluster is found by any controlplane, and answers', async () => {
  const seen = await waitUntil(
    'every target to be up',
    targets,
    (all) => all.length === 12 && all.every(({ health }) => health === 'up'),
    { timeoutMs: 60_000 },
  );
  const named = seen.map(({ labels: { process, node, ns } }) => [process, node, ns].join(' ').trim()).sort();
  expect(named).toEqual(
    ['controlplane', 'gateway', 'sfu', 'turn']
      .flatMap((process) => [1, 2, 3].map((n) => `${process} node-${n}${process === 'sfu' ? ' seen' : ''}`))
      .sort(),
  );
});

test('dashboard and alerts use only metrics that processes print, and each shows something where there is something', async () => {
  const printed = new Set(['up']);
  // The nameserver of a controlplane, which a local cluster has none of.
  const ofNameserver = createMetrics('controlplane');
  new DnsMetrics(
    ofNameserver,
    () => 0,
    () => 0,
  );
  for (const { name } of await ofNameserver.getMetricsAsJSON()) printed.add(name);
  const filled = new Set(['up']);
  for (const { scrapeUrl } of await targets()) {
    const text = await (await fetch(scrapeUrl)).text();
    for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      const parts = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
      for (const part of parts) printed.add(name + part);
    }
    for (const [, name = ''] of text.matchAll(/^([a-z_][a-z0-9_]*)(?:\{.*\})? /gm)) filled.add(name);
  }
  const { panels, rules } = await expressions();
  expect(panels.length).toBeGreaterThan(40);
  expect(rules.length).toBeGreaterThan(15);
  const unknown = [...panels, ...rules].flatMap((each) => metricsIn(each).filter((name) => !printed.has(name)));
  expect(unknown).toEqual([]);
  for (const query of panels) {
    if (MAY_BE_EMPTY.test(query) || !metricsIn(query).every((name) => filled.has(name))) continue;
    await waitUntil(
      `"${query}" to show something`,
      () => api<{ result: unknown[] }>('query', { query }),
      ({ result }) => result.length > 0,
    );
  }
});

test('a cluster where all is well raises no alert', async () => {
  const { groups } = await api<{
    groups: { rules: { name: string; state: string; health: string; lastError?: string }[] }[];
  }>('rules');
  for (const { name, state, health, lastError } of groups.flatMap(({ rules }) => rules)) {
    expect({ name, health, lastError }).toEqual({ name, health: 'ok', lastError: undefined });
    expect({ name, state }).not.toEqual({ name, state: 'firing' });
  }
});
