import { setTimeout as delay } from 'node:timers/promises';
import type { ControlplaneClient } from '@orama/controlplane/client';
import type { Facts, Namespace, Need, Silent } from '@orama/controlplane/inspector';
import { describeError, OramaError } from '@orama/core';
import type { ClusterFacts, NodeFacts, NodePlan } from '@orama/protocol';
import { unlessAborted } from '../wait.ts';
import { askNameservers } from './outside-dns.ts';
import { tryGateways } from './outside-gateway.ts';
import { tryPeers, tryTurn } from './outside-turn.ts';

/** Two rounds of the tasks. */
const PLAN_PATIENCE_MS = 4_000;

export interface GatherOptions {
  client: ControlplaneClient;
  /** What is gathered, beside the store. */
  needs: ReadonlySet<Need>;
  /** Only this namespace. */
  namespace: string | undefined;
  /** Of this program. */
  version: string;
  signal: AbortSignal;
  onProgress: (text: string) => void;
}

/** What is known of a cluster, and who did not say what was asked. */
export interface Gathered {
  /** Null when not even the store could be asked. */
  facts: Facts | null;
  silent: Silent[];
}

/**
 * Asks the store, every node, every TURN server and every nameserver, as far as `needs` says. Throws NAMESPACE_NOT_FOUND,
 * WEBRTC_NOT_ENABLED, the refusal of a cluster that does not know our key, and the signal's reason.
 */
export async function gather({ client, needs, namespace, version, ...rest }: GatherOptions): Promise<Gathered> {
  const { signal, onProgress } = rest;
  onProgress('asking the store');
  let cluster: ClusterFacts;
  try {
    cluster = await unlessAborted(client.clusterFacts(), signal);
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof OramaError && ['UNAUTHORIZED', 'FORBIDDEN'].includes(thrown.code)) throw thrown;
    const mend = (thrown instanceof OramaError && thrown.hint) || 'systemctl status orama-controlplane, on every node';
    return { facts: null, silent: [{ node: null, needs: 'store', why: describeError(thrown), mend }] };
  }
  const enabled = enabledOf(cluster, namespace);
  const silent: Silent[] = [];
  const present = cluster.nodes.filter(({ state }) => state !== 'gone');
  onProgress(`asking ${present.length} nodes`);
  const nodes = new Map<string, NodeFacts>();
  const clocks = new Map<string, { aheadMs: number; uncertainMs: number }>();
  // Also for checks of what is seen from outside: the nodes know where nameservers are, and what an operator took out.
  const answers = await unlessAborted(Promise.all(present.map(({ id }) => askNode(client, id))), signal);
  for (const answer of answers) {
    if ('why' in answer) silent.push(answer);
    else {
      nodes.set(answer.facts.node, answer.facts);
      clocks.set(answer.facts.node, answer.clock);
    }
  }
  const base = { client, cluster, enabled, signal };
  /** Who may only read gets no credentials: nothing is known of TURN then. */
  const unlessRefused = <T>(needs: Need, tried: Promise<T[]>) =>
    tried.catch((thrown: unknown): T[] => {
      if (!(thrown instanceof OramaError) || thrown.code !== 'FORBIDDEN') throw thrown;
      silent.push({
        node: null,
        needs,
        why: `TURN cannot be tried: ${thrown.message}`,
        mend: thrown.hint ?? 'orama token',
      });
      return [];
    });
  onProgress('trying TURN servers and nameservers');
  const [turn, peers, gateways, dns, planned] = await unlessAborted(
    Promise.all([
      needs.has('turn') ? unlessRefused('turn', tryTurn(base)) : [],
      needs.has('peers') ? unlessRefused('peers', tryPeers(base)) : [],
      needs.has('gateways') ? tryGateways(base) : [],
      needs.has('dns') ? askNameservers({ ...base, nodes }) : [],
      Promise.all(needs.has('plans') ? present.map(({ id }) => askPlan(client, id, signal)) : []),
    ]),
    signal,
  );
  const plans = planned.filter((plan) => 'tasks' in plan);
  silent.push(...planned.filter((plan) => 'why' in plan));
  return {
    facts: { cluster, enabled, nodes, plans, clocks, turn, peers, gateways, dns, version, nowMs: Date.now() },
    silent,
  };
}

interface Answer {
  facts: NodeFacts;
  clock: { aheadMs: number; uncertainMs: number };
}

async function askNode(client: ControlplaneClient, node: string): Promise<Answer | Silent> {
  const askedMs = Date.now();
  try {
    const facts = await client.nodeFacts(node);
    return { facts, clock: clockOf(facts, askedMs, Date.now()) };
  } catch (thrown) {
    return silence(node, 'nodes', thrown);
  }
}

function silence(node: string, needs: Need, thrown: unknown): Silent {
  const why = `${node} does not answer: ${describeError(thrown)}`;
  return { node, needs, why, mend: `on ${node}: systemctl status orama-controlplane` };
}

/** What the node's tasks had to do, and a moment later still have: what they do by themselves is no finding. */
async function askPlan(client: ControlplaneClient, node: string, signal: AbortSignal): Promise<NodePlan | Silent> {
  try {
    const before = await client.nodePlan(node);
    if (before.tasks.every(({ actions, error }) => actions.length === 0 && error === undefined)) return before;
    await delay(PLAN_PATIENCE_MS, undefined, { signal });
    return staying(before, await client.nodePlan(node));
  } catch (thrown) {
    return silence(node, 'plans', thrown);
  }
}

/** What is in both plans. Pure. */
export function staying(before: NodePlan, after: NodePlan): NodePlan {
  const earlier = new Map(before.tasks.map((one) => [one.task, one]));
  const tasks = after.tasks.map(({ task, actions, error }) => {
    const then = earlier.get(task);
    const isOld = ({ kind, subject }: (typeof actions)[number]) =>
      then?.actions.some((action) => action.kind === kind && action.subject === subject) ?? false;
    const stays = error !== undefined && then?.error !== undefined;
    return { task, actions: actions.filter(isOld), ...(stays && { error }) };
  });
  return { node: after.node, tasks };
}

function enabledOf(cluster: ClusterFacts, wanted: string | undefined): Namespace[] {
  const enabled = cluster.namespaces.filter(({ webrtc }) => webrtc === 'enabled');
  if (wanted === undefined) return enabled;
  if (!cluster.namespaces.some(({ name }) => name === wanted)) {
    throw new OramaError('NAMESPACE_NOT_FOUND', `there is no namespace "${wanted}"`, {
      hint: 'see "orama namespace list"',
    });
  }
  const found = enabled.filter(({ name }) => name === wanted);
  if (found.length > 0) return found;
  throw new OramaError('WEBRTC_NOT_ENABLED', `namespace "${wanted}" has no WebRTC to inspect`, {
    hint: `orama namespace enable webrtc --namespace ${wanted}`,
  });
}

/** As NTP does it (RFC 5905 section 8): half of what the way took at most is uncertain. */
function clockOf({ receivedAtMs, answeredAtMs }: NodeFacts, askedMs: number, heardMs: number) {
  const aheadMs = (receivedAtMs - askedMs + (answeredAtMs - heardMs)) / 2;
  return { aheadMs, uncertainMs: Math.max(0, heardMs - askedMs - (answeredAtMs - receivedAtMs)) / 2 };
}
