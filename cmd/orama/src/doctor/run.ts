import { constants, existsSync } from 'node:fs';
import { access } from 'node:fs/promises';
import type { ControlplaneClient } from '@orama/controlplane/client';
import { CHECKS, type CheckResult, inspect } from '@orama/controlplane/inspector';
import { turnResumeCommand } from '@orama/controlplane/services';
import { describeError, loadConfigFile, OramaError, toOramaError } from '@orama/core';
import { type ClusterStatus, type ControlplaneConfig, controlplaneConfigSchema } from '@orama/protocol';
import { connectTo } from '../cluster.ts';
import type { Context } from '../context.ts';
import { DEFAULT_DEV_SETTINGS, planNodes } from '../dev/layout.ts';
import type { DevState } from '../dev/state.ts';
import { gather } from '../inspector/gather.ts';
import { PATHS } from '../node-setup/paths.ts';
import { startCluster, thisPlace } from '../remedies.ts';
import {
  type ClusterAccess,
  type GatewayAccess,
  type GatewayOptions,
  isLocal,
  NoClusterError,
  readDevState,
  type Settings,
} from '../settings.ts';
import { type Call, holdCall } from './call.ts';
import { failed, type Line, passed, skipped } from './line.ts';
import { addressesOfCluster, addressesOfNode, checkPorts } from './ports.ts';
import { checkNativeModules, checkNode } from './programs.ts';
import { withTrialNamespace } from './trial-namespace.ts';

export interface DoctorOptions extends GatewayOptions {
  /** Configuration of this node's controlplane. */
  config?: string;
  call: boolean;
}

export interface DoctorRun {
  context: Context;
  options: DoctorOptions;
  version: string;
  signal: AbortSignal;
  onProgress: (text: string) => void;
}

/** Looks at everything that a call needs, from this machine's programs to a call itself. Never throws but the signal's reason. */
export async function examine(run: DoctorRun): Promise<Line[]> {
  const { context, options, signal, onProgress } = run;
  onProgress('loading native modules');
  const native = await checkNativeModules();
  signal.throwIfAborted();
  const lines: Line[] = [checkNode(), ...native];
  const node = await readNodeConfig(options.config);
  if ('id' in node) lines.push(node);
  const config = 'config' in node ? node.config : undefined;
  onProgress('looking at ports');
  lines.push(...(await attempt('ports', () => portLines(context, config))));
  onProgress('asking the cluster');
  const found = await findCluster(context, config);
  lines.push(found.line);
  const needsCluster = (id: string) => skipped(id, 'needs a cluster that answers');
  if (found.cluster) {
    lines.push(await storeLine(found.client, found.cluster));
    lines.push(...(await inspectionLines(run, found.client)));
  } else lines.push(...['store', ...CHECKS.map(({ id }) => id)].map(needsCluster));
  const media = native.find(({ id }) => id === 'native:node-datachannel');
  if (!options.call) lines.push(skipped('call', 'left out by --no-call'));
  else if (media?.state !== 'passed') lines.push(skipped('call', 'needs node-datachannel'));
  else if (options.namespace !== undefined || options.gateway !== undefined)
    lines.push(await callLine(run, (hold) => hold(context.settings.gateway(options))));
  else if (found.cluster) {
    const trial: Where = (hold) =>
      withTrialNamespace(found.client, run, ({ url, apiKey }) => hold({ url: gatewayOf(context, url), apiKey }));
    lines.push(await callLine(run, trial));
  } else lines.push(needsCluster('call'));
  return lines;
}

/** Where a call is held: by way of which gateway, with which key. */
type Where = (hold: (access: GatewayAccess) => Promise<Call>) => Promise<Call>;

async function readNodeConfig(named: string | undefined): Promise<Line | { config: ControlplaneConfig | undefined }> {
  if (named === undefined && !existsSync(PATHS.config)) return { config: undefined };
  const path = named ?? PATHS.config;
  if (named === undefined && !(await isReadable(path)))
    return skipped('config', `${path} may not be read by this user; as root more is looked at`);
  try {
    return { config: await loadConfigFile(controlplaneConfigSchema, path) };
  } catch (thrown) {
    return failed('config', describeError(thrown), `mend ${path}`);
  }
}

function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

async function portLines({ settings }: Context, config: ControlplaneConfig | undefined): Promise<Line[]> {
  if (config) {
    const resume = await turnResumeCommand(config.node, config.dataDir);
    return checkPorts(addressesOfNode(config, resume), true);
  }
  if (isElsewhere(settings)) return [skipped('ports', 'the cluster is elsewhere')];
  const local: DevState | undefined = readDevState(settings.dataDir);
  const nodes = local?.nodes ?? planNodes(settings.dataDir, DEFAULT_DEV_SETTINGS);
  return checkPorts(await addressesOfCluster(nodes), local?.state === 'ready');
}

function isElsewhere(settings: Settings): boolean {
  try {
    return !isLocal(settings);
  } catch (thrown) {
    // Where none is named it may be started here.
    if (thrown instanceof NoClusterError) return false;
    throw thrown;
  }
}

async function attempt(id: string, look: () => Promise<Line[]>): Promise<Line[]> {
  try {
    return await look();
  } catch (thrown) {
    return [failed(id, describeError(thrown), toOramaError(thrown).hint ?? 'orama --help')];
  }
}

interface Found {
  line: Line;
  client: ControlplaneClient;
  cluster: ClusterStatus;
}

async function findCluster(
  { settings }: Context,
  config: ControlplaneConfig | undefined,
): Promise<Found | { line: Line; cluster?: undefined }> {
  try {
    const client = connectTo(accessOf(() => settings.cluster(), config));
    const startedMs = performance.now();
    const cluster = await client.cluster();
    const tookMs = Math.round(performance.now() - startedMs);
    const there = cluster.nodes.filter(({ state }) => state !== 'gone');
    const silent = there.filter(({ alive }) => !alive).map(({ id }) => id);
    const seen = `${there.length} nodes of ${cluster.baseDomain}, answered in ${tookMs} ms`;
    if (silent.length === 0) return { line: passed('cluster', seen), client, cluster };
    const isOfDev = !config && !isElsewhere(settings);
    const mend = isOfDev ? 'orama dev start' : 'on each of them: systemctl status orama-controlplane';
    return { line: failed('cluster', `${seen}; unreachable: ${silent.join(', ')}`, mend), client, cluster };
  } catch (thrown) {
    const { message, hint = startCluster(thisPlace()) } = toOramaError(thrown, 'asking the cluster');
    return { line: failed('cluster', message, hint) };
  }
}

/** What was named; on a node where nothing was, that node. */
function accessOf(named: () => ClusterAccess, config: ControlplaneConfig | undefined): ClusterAccess {
  try {
    return named();
  } catch (thrown) {
    if (!(thrown instanceof NoClusterError) || !config) throw thrown;
    const { wireguardIp, api, clusterKeyFile } = config;
    const host = wireguardIp.includes(':') ? `[${wireguardIp}]` : wireguardIp;
    return { endpoints: [`http://${host}:${api.port}`], clusterKeyFile };
  }
}

/** The store takes writes as long as those who have to do work that one alone may do renew their leases in it. */
async function storeLine(client: ControlplaneClient, { nodes }: ClusterStatus): Promise<Line> {
  const mend = 'orama store check; and on each node: journalctl -u orama-controlplane';
  try {
    const startedMs = performance.now();
    const leases = await client.leases();
    const tookMs = Math.round(performance.now() - startedMs);
    const alive = nodes.filter((node) => node.alive).map(({ id }) => id);
    const left = leases.filter(({ holder }) => holder === null || !alive.includes(holder)).map(({ name }) => name);
    if (left.length > 0) return failed('store', `nobody does the work of ${left.join(', ')}`, mend);
    return passed(
      'store',
      `answers in ${tookMs} ms, and ${leases.map(({ name, holder }) => `${holder} holds ${name}`).join(', ')}`,
    );
  } catch (thrown) {
    return failed('store', describeError(thrown), mend);
  }
}

async function inspectionLines({ options, ...run }: DoctorRun, client: ControlplaneClient): Promise<Line[]> {
  try {
    const needs = new Set(CHECKS.flatMap((check) => check.needs));
    const { facts, silent } = await gather({ ...run, client, needs, namespace: options.namespace });
    return inspect(CHECKS, facts, silent).map(toLine);
  } catch (thrown) {
    run.signal.throwIfAborted();
    const { message, hint = 'orama inspector' } = toOramaError(thrown, 'inspecting');
    return [failed('inspector', message, hint)];
  }
}

/** The worst of what a check found. */
function toLine({ id, severity, findings }: CheckResult): Line {
  const bad = findings.filter((finding) => finding.severity !== 'ok');
  const [worst] = bad;
  if (!worst) return passed(id, `${findings.length} looked at`);
  const where = [worst.namespace, worst.node].filter((part) => part !== undefined).join(' on ');
  const more = bad.length > 1 ? ` (and ${bad.length - 1} more: orama inspector --only ${id})` : '';
  return {
    id,
    state: severity === 'critical' ? 'failed' : 'warning',
    seen: `${where === '' ? '' : `${where}: `}${worst.seen}${more}`,
    ...(worst.mend !== undefined && { mend: worst.mend }),
  };
}

async function callLine({ signal, onProgress }: DoctorRun, where: Where): Promise<Line> {
  const hold = (access: GatewayAccess) => {
    onProgress('holding a call');
    return holdCall(access, signal);
  };
  try {
    const { setupMs, received } = await where(hold);
    const [first, second] = setupMs.map((ms) => `${Math.round(ms)} ms`);
    return passed(
      'call',
      `two peers connected in ${first} and ${second}, and got ${received.join(' and ')} packets of each other`,
    );
  } catch (thrown) {
    signal.throwIfAborted();
    const { message, hint } = toOramaError(thrown, 'holding a call');
    const cause = thrown instanceof OramaError && thrown.code === 'INTERNAL' ? `: ${describeError(thrown.cause)}` : '';
    return failed(
      'call',
      `${message}${cause}`,
      hint ?? 'mend what failed above; if nothing did, the logs of the gateway and of the SFU say more',
    );
  }
}

/** Where a namespace is reached. The names of a local cluster are known to browsers alone. */
function gatewayOf({ settings }: Context, url: string): string {
  const isLocal = /(^|\.)localhost$/.test(new URL(url).hostname);
  return (isLocal && readDevState(settings.dataDir)?.nodes[0]?.gateway) || url;
}
