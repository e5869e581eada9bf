import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stopAllServices } from '@orama/controlplane/services';
import { daemonCommand } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import type { ControlplaneConfigInput } from '@orama/protocol';
import { createStore, openStore, type Store } from '@orama/store';
import { waitUntil } from '@orama/testkit';
import { readCommandLine, refuse } from '../../support/command-line.ts';
import { describeMachine } from '../machine.ts';
import { type Measured, renderReport } from './report.ts';
import { ACTIVE, addNamespaces, addNodes, beat } from './rows.ts';

const REPORT = join(import.meta.dirname, 'report.md');

const USAGE = `usage: pnpm bench reconcile [--quick] [--net 127.91.60] [--seconds 60] [--namespaces 20 --namespaces 2000]

What a node's controlplane does at rest, with ${ACTIVE} namespaces on its node and all others on nodes that only beat, for each number of
namespaces in the store: the share of one core, the runs of its tasks, and what it asks of the store. Services are stand-ins and not
counted. Writes test/bench/reconcile/report.md, with --quick (for 10 seconds) nothing.`;

const ROOT = resolve(import.meta.dirname, '../../..');
const NODE = [process.execPath, '--conditions=source', '--disable-warning=ExperimentalWarning'];
const TESTING = join(ROOT, 'packages/controlplane/testing');
const SETTLE_MS = 15_000;
const TICKS_PER_SEC = 100;

/** `pnpm bench reconcile`: a row for each number of namespaces. */
export async function benchReconcile(args: string[]): Promise<void> {
  const { values } = readCommandLine(
    USAGE,
    {
      net: { type: 'string', default: '127.91.60' },
      quick: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      namespaces: { type: 'string', multiple: true, default: ['20', '2000'] },
    },
    args,
  );
  const seconds = Number(values.seconds ?? (values.quick ? 10 : 60));
  if (!(seconds > 0)) refuse(USAGE, '--seconds must be a number above 0');
  const measured: Measured[] = [];
  for (const count of values.namespaces.map(Number)) measured.push(await measure(values.net, count, seconds));
  const report = renderReport({
    measured,
    seconds,
    machine: describeMachine(),
    date: new Date().toISOString().slice(0, 10),
  });
  console.log(report);
  if (!values.quick) writeFileSync(REPORT, `${report}\n`);
}

async function measure(net: string, count: number, seconds: number): Promise<Measured> {
  const dir = mkdtempSync(join(tmpdir(), 'orama-bench-reconcile-'));
  const clusterKey = randomBytes(32).toString('hex');
  const file = join(dir, 'store.sqlite');
  const store = createStore(await openStore({ driver: 'sqlite', file }));
  await addNodes(store, net, Math.ceil(count / ACTIVE));
  await addNamespaces(store, net, count, clusterKey);
  const beating = setInterval(() => void beat(store), 1_000);
  const controlplane = startControlplane(dir, net, file, clusterKey);
  try {
    await waitUntil(
      'the namespaces of the node to serve',
      () => healthyOn(store),
      (healthy) => healthy >= 2 * ACTIVE,
      {
        timeoutMs: 120_000,
      },
    );
    await delay(SETTLE_MS);
    const [before, cpuBefore] = [await countersOf(net), cpuSeconds(controlplane)];
    await delay(seconds * 1000);
    const [after, cpuAfter] = [await countersOf(net), cpuSeconds(controlplane)];
    const perSecond = (name: string) => ((after.get(name) ?? 0) - (before.get(name) ?? 0)) / seconds;
    return {
      namespaces: count,
      nodes: (await store.nodes.list()).length,
      coreShare: (cpuAfter - cpuBefore) / seconds,
      runs: perSecond('orama_reconcile_runs_total'),
      statements: perSecond('orama_store_statements_total'),
      rows: perSecond('orama_store_rows_read_total'),
    };
  } finally {
    clearInterval(beating);
    controlplane.kill('SIGKILL');
    if (controlplane.exitCode === null && controlplane.signalCode === null) await once(controlplane, 'exit');
    await stopAllServices(join(dir, 'node-1'), 2_000, silentLogger);
    await store.db.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function startControlplane(dir: string, net: string, file: string, clusterKey: string): ChildProcess {
  writeFileSync(join(dir, 'cluster.key'), clusterKey, { mode: 0o600 });
  const program = (name: string) => [...NODE, join(TESTING, `stand-in-${name}.ts`)];
  const config: ControlplaneConfigInput = {
    clusterId: 'bench',
    node: 'node-1',
    wireguardIp: `${net}.1`,
    publicIp: `${net}.101`,
    wireguardNetwork: '127.0.0.0/8',
    baseDomain: 'orama.localhost',
    dataDir: join(dir, 'node-1'),
    clusterKeyFile: join(dir, 'cluster.key'),
    store: { driver: 'sqlite', file },
    api: { loopback: false },
    services: {
      manager: 'processes',
      programs: { gateway: program('gateway'), turn: program('turn'), sfu: program('sfu') },
    },
    gateway: { listen: { address: `${net}.1`, port: 6080 } },
    turn: { advertise: 'addresses' },
    dns: { writer: 'file', file: join(dir, 'zone.txt') },
  };
  const configFile = join(dir, 'node-1.json');
  writeFileSync(configFile, JSON.stringify(config));
  const log = openSync(join(dir, 'controlplane.log'), 'a');
  const [command, ...flags] = daemonCommand(
    'controlplane',
    join(ROOT, 'cmd/controlplane/src/main.ts'),
    '--conditions=source',
    '--disable-warning=ExperimentalWarning',
  );
  return spawn(command, [...flags, '--config', configFile], { stdio: ['ignore', log, log] });
}

async function healthyOn({ reports }: Store): Promise<number> {
  return (await reports.list()).filter(
    ({ nodeId, service, healthy, generation }) =>
      nodeId === 'node-1' && healthy && generation === 1 && (service === 'sfu' || service === 'turn'),
  ).length;
}

/** The counters of the controlplane, each summed over its labels. */
async function countersOf(net: string): Promise<Map<string, number>> {
  const text = await (await fetch(`http://${net}.1:6001/metrics`)).text();
  const counters = new Map<string, number>();
  for (const [, name = '', value] of text.matchAll(/^(\w+_total)(?:\{[^}]*\})? (\S+)$/gm))
    counters.set(name, (counters.get(name) ?? 0) + Number(value));
  return counters;
}

/** Processor time that a process has used, from proc_pid_stat(5): fields 14 and 15. */
function cpuSeconds({ pid }: ChildProcess): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SEC;
}
