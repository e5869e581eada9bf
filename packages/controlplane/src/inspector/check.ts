import type { ClusterFacts, NodeFacts, NodePlan } from '@orama/protocol';

/** From what need not be acted on to what is broken for somebody now. */
export const SEVERITIES = ['ok', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** One thing that was looked at. */
export interface Finding {
  severity: Severity;
  namespace?: string;
  node?: string;
  /** What was seen, in words. */
  seen: string;
  /** The command that mends it, or what to do; absent where there is nothing to mend. */
  mend?: string;
}

/** What a check is judged by, beside the store: each is gathered only for the checks that need it. */
export type Need = 'nodes' | 'plans' | 'turn' | 'peers' | 'gateways' | 'dns';

/** One check: a pure judgement of facts. A new one is a file in checks/ and a line in checks/index.ts. */
export interface Check {
  /** Stable; what `--only` takes. */
  id: string;
  /** What it asks, for people. */
  question: string;
  needs: readonly Need[];
  /** At least one finding: who finds nothing to look at says so. */
  judge(facts: Facts): Finding[];
}

export type Namespace = ClusterFacts['namespaces'][number];
export type Block = ClusterFacts['blocks'][number];

/** Everything that checks judge. */
export interface Facts {
  cluster: ClusterFacts;
  /** The namespaces whose WebRTC is on, of those that are asked about. */
  enabled: readonly Namespace[];
  /** Nodes that answered, by id. Those that did not are told for every check that needs them. */
  nodes: ReadonlyMap<string, NodeFacts>;
  /** What each node's tasks still have to do, and had to a moment before. */
  plans: readonly NodePlan[];
  /** Milliseconds that each node's clock is ahead of this machine's, and how far that may be off. */
  clocks: ReadonlyMap<string, { aheadMs: number; uncertainMs: number }>;
  /** One allocation tried on each TURN node of each namespace over each transport, from this machine. */
  turn: readonly TurnAttempt[];
  /** One TLS handshake with each gateway for each name that it has, where URIs carry names. */
  gateways: readonly GatewayAttempt[];
  /** One peer tried from an allocation on each TURN node of each namespace. */
  peers: readonly PeerAttempt[];
  /** What each nameserver says. */
  dns: readonly NameserverAnswers[];
  /** Version of the program that inspects. */
  version: string;
  nowMs: number;
}

export interface TurnAttempt {
  namespace: string;
  node: string;
  transport: 'udp' | 'tcp' | 'tls';
  /** `address:port`. */
  server: string;
  /** Null when an allocation was made and packets went through it. */
  failure: { message: string; hint: string | undefined } | null;
  /** What the server showed over TLS, as far as it came. */
  certificate: ShownCertificate | null;
  /** Why this machine cannot try it, which says nothing of the server. */
  untried?: string;
}

export interface GatewayAttempt {
  /** Null for the cluster's own name. */
  namespace: string | null;
  node: string;
  /** `address:port`, with the cluster's own name before it. */
  server: string;
  failure: { message: string } | null;
  certificate: ShownCertificate | null;
}

export interface ShownCertificate {
  subject: string;
  issuer: string;
  validTo: string;
  distrust: string | null;
}

export interface PeerAttempt {
  namespace: string;
  node: string;
  peer: string;
  /** STUN error code of CreatePermission; null when it was granted. */
  code: number | null;
  /** Why it could not be tried. */
  failure: string | null;
}

export interface NameserverAnswers {
  /** The server, or the file that stands for one. */
  server: string;
  /** Addresses by name; none where there is no such name. */
  names: ReadonlyMap<string, readonly string[]>;
  /** Why it could not be asked. */
  failure: string | null;
  /** It stands for the delegation in the parent zone, of which no nameserver was found. */
  isDelegation?: true;
}

/** Something that was asked for and did not come. */
export interface Silent {
  /** Node id, or null for the whole cluster. */
  node: string | null;
  needs: Need | 'store';
  why: string;
  mend: string;
}

export const ok = (seen: string, where: Partial<Finding> = {}): Finding => ({ severity: 'ok', seen, ...where });

/** The blocks of a service of a namespace that are to be there. */
export function placed<S extends Block['service']>(
  { cluster }: Facts,
  service: S,
  namespace: string,
): Extract<Block, { service: S }>[] {
  return cluster.blocks.filter(
    (block): block is Extract<Block, { service: S }> =>
      block.service === service && block.namespace === namespace && !block.leaving,
  );
}

/** Whether a node's TURN server serves a namespace now. */
export function servesTurn(node: NodeFacts | undefined, namespace: string): boolean {
  return node?.turn.running === true && !node.turn.draining && node.turn.tenants.includes(namespace);
}

/** Why an operator wants a node's TURN server not to serve, and what puts an end to it; null where nobody does. */
export function takenOut({ cluster, nodes }: Facts, node: string): { why: string; mend: string } | null {
  if (cluster.nodes.some(({ id, state }) => id === node && state === 'draining'))
    return { why: 'the node is drained', mend: `orama node resume ${node}` };
  const turn = nodes.get(node)?.turn;
  if (!turn?.held && !turn?.draining) return null;
  return { why: turn.running ? 'it drains' : 'an operator keeps it down', mend: `orama turn resume --node ${node}` };
}

/** What TURN of a node that was taken out does not do is no fault: a warning, with what brings it back. */
export function unlessTakenOut(facts: Facts, finding: Finding): Finding {
  const out = finding.node === undefined || finding.severity === 'ok' ? null : takenOut(facts, finding.node);
  return out ? { ...finding, severity: 'warning', seen: `${finding.seen} (${out.why})`, mend: out.mend } : finding;
}

/**
 * Whether a nameserver leads with the cluster's own name to somebody else, or nowhere, for the zone is of another server:
 * there it is left to who has it.
 */
export function isLeftToOthers({ cluster, nodes }: Facts, name: string, addresses: readonly string[]): boolean {
  const isShared = [...nodes.values()].some(({ dns: { writer } }) => writer === 'powerdns' || writer === 'rfc2136');
  const isOurs = (address: string) =>
    cluster.nodes.some(({ publicIp, publicIp6 }) => [publicIp, publicIp6].includes(address));
  return name === cluster.operatorHost && isShared && (addresses.length === 0 || !addresses.every(isOurs));
}

/** A finding that there is nothing a check is about. */
export const NOTHING_ENABLED = ok('no namespace has WebRTC');
