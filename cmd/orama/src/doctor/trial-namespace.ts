import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { ControlplaneClient } from '@orama/controlplane/client';
import { OramaError } from '@orama/core';
import { HTTPS_PORT, type Namespace, type Operation } from '@orama/protocol';
import { tryGateways } from '../inspector/outside-gateway.ts';
import { identify, isRunning } from '../process-identity.ts';
import { pause } from '../wait.ts';

/** Always the same, so that what a killed doctor left is found by the next, and one certificate is enough for all. */
const TRIAL_NAMESPACE = 'orama-doctor';
/** A younger one may belong to a doctor who is at work on another machine. */
const ABANDONED_MS = 240_000;
const OWNER = /^doctor (\d+) (\d+) at (\S+ \S+)$/;
const ENABLE_TIMEOUT_MS = 60_000;
/** The certificate of a name that was made just now comes some seconds after it. */
const CERTIFICATE_PATIENCE_MS = 30_000;
/** Of the other nodes that the name leads to, once one has it: one whose Caddy is broken is not waited for. */
const OTHERS_PATIENCE_MS = 15_000;
const LOOK_MS = 200;

interface Run {
  signal: AbortSignal;
  onProgress: (text: string) => void;
}

/**
 * Runs `work` with a namespace that is there for it alone, with WebRTC on one node. What of it was there before, of a doctor
 * that was killed, is removed first; afterwards nothing is left, also when `signal` ends it. Throws CONFLICT while another
 * doctor is at work, what the cluster refuses, and what `work` throws.
 */
export async function withTrialNamespace<T>(
  client: ControlplaneClient,
  run: Run,
  work: (trial: { url: string; apiKey: string }) => Promise<T>,
): Promise<T> {
  const { signal } = run;
  await removeAbandoned(client);
  signal.throwIfAborted();
  const { apiKey, url } = await client.createNamespace(TRIAL_NAMESPACE, ownName());
  try {
    run.onProgress('enabling WebRTC for a call');
    const { operation } = await client.enableWebrtc(TRIAL_NAMESPACE, { sfuNodeCount: 1, turnNodeCount: 1 });
    if (operation) await finished(client, operation, signal);
    await untilTrusted(client, new URL(url), run);
    return await work({ url, apiKey });
  } finally {
    await remove(client);
  }
}

async function removeAbandoned(client: ControlplaneClient): Promise<void> {
  const there = (await client.namespaces()).find(({ name }) => name === TRIAL_NAMESPACE);
  if (!there) return;
  if (!OWNER.test(there.owner)) {
    throw new OramaError(
      'CONFLICT',
      `there is a namespace ${TRIAL_NAMESPACE} that no doctor made: ${there.owner} did`,
      {
        hint: `use --namespace <name>, or delete it: orama namespace delete ${TRIAL_NAMESPACE}`,
      },
    );
  }
  if (isAtWork(there)) {
    throw new OramaError(
      'CONFLICT',
      `another doctor is at work, or was killed just now on another machine: ${there.owner}`,
      {
        hint: `run it again in ${ABANDONED_MS / 60_000} minutes, which removes what was left; or use --namespace <name>`,
        retryable: true,
      },
    );
  }
  await remove(client);
}

/** Who this doctor is, so that another one sees whether it still runs. */
function ownName(): string {
  return `doctor ${process.pid} ${identify(process.pid)?.startTime} at ${place()}`;
}

/** Where process numbers mean the same: this machine since it was started. Others may have the same name. */
function place(): string {
  return `${hostname().slice(0, 64)} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)}`;
}

function isAtWork({ owner, createdAt }: Namespace): boolean {
  const [, pid, startTime = '', where] = OWNER.exec(owner) ?? [];
  if (where === place()) return isRunning({ pid: Number(pid), startTime });
  return Date.now() - Date.parse(createdAt) < ABANDONED_MS;
}

/** Its own time: it has to be done however the work ended. */
async function remove(client: ControlplaneClient): Promise<void> {
  try {
    const { operation } = await client.disableWebrtc(TRIAL_NAMESPACE);
    if (operation) await finished(client, operation, AbortSignal.timeout(ENABLE_TIMEOUT_MS));
    await client.deleteNamespace(TRIAL_NAMESPACE);
  } catch (thrown) {
    throw new OramaError('INTERNAL', `the namespace ${TRIAL_NAMESPACE} could not be removed`, {
      cause: thrown,
      hint: `orama namespace disable webrtc --namespace ${TRIAL_NAMESPACE}, then orama namespace delete ${TRIAL_NAMESPACE}`,
    });
  }
}

/**
 * Until gateways show a certificate that this machine trusts, where the cluster gets some. One that does not come in time is for
 * `work` to fail by.
 */
async function untilTrusted(client: ControlplaneClient, { hostname, port }: URL, run: Run): Promise<void> {
  // What is wrong with a controlplane that does not tell is seen by others.
  const told = await Promise.all([client.clusterFacts(), client.cluster()]).catch(() => null);
  if (!told?.[0].turnNames || !told[0].gatewayCertificates) return;
  const [facts, { nodes }] = told;
  run.onProgress(`waiting for the certificate of ${hostname}`);
  // The name does not lead to others.
  const alive = facts.nodes.filter(({ id }) => nodes.some((node) => node.id === id && node.alive));
  const enabled = facts.namespaces.filter(({ name }) => name === TRIAL_NAMESPACE);
  const target = { cluster: { ...facts, operatorHost: null, nodes: alive }, enabled, port: Number(port) || HTTPS_PORT };
  let deadlineMs = performance.now() + CERTIFICATE_PATIENCE_MS;
  let isAnyTrusted = false;
  for (;;) {
    const trusted = (await tryGateways(target)).map(({ certificate }) => certificate?.distrust === null);
    if (!trusted.includes(false)) return;
    if (!isAnyTrusted && trusted.includes(true)) deadlineMs = performance.now() + OTHERS_PATIENCE_MS;
    isAnyTrusted ||= trusted.includes(true);
    if (performance.now() > deadlineMs) return;
    await pause(LOOK_MS, run.signal);
  }
}

async function finished(client: ControlplaneClient, started: Operation, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + ENABLE_TIMEOUT_MS;
  for (let operation = started; operation.state !== 'done'; operation = await client.operation(operation.id)) {
    const missing = operation.steps.filter(({ state }) => state !== 'done');
    const steps = missing.map(({ name, detail }) => (detail ? `${name} (${detail})` : name)).join(', ');
    if (operation.state === 'failed' || performance.now() > deadlineMs) {
      throw new OramaError('TIMEOUT', `${operation.kind} is not done; missing: ${operation.error?.message ?? steps}`, {
        hint: 'orama inspector says what is wrong with the nodes',
      });
    }
    await pause(LOOK_MS, signal);
  }
}
