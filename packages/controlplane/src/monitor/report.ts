import {
  type ClusterReport,
  type ControlplaneConfig,
  type DnsSeen,
  type NodeReport,
  turnDomain,
} from '@orama/protocol';
import type { NodeRow } from '@orama/store';
import type { Desired, DesiredNamespace } from '../reconcile/desired.ts';

/** Before that Caddy has had a month to renew it. */
const CERTIFICATE_DAYS_MIN = 14;

/** A node, and what it reported or why it did not. */
export interface Asked {
  node: NodeRow;
  report: NodeReport | null;
  reason: string | null;
}

/** Of the controlplane that is asked; what is judged by it is the same on all nodes. */
type ReportedConfig = Pick<ControlplaneConfig, 'clusterId' | 'baseDomain' | 'node'> & {
  turn: Pick<ControlplaneConfig['turn'], 'advertise' | 'port443'>;
};

type NamespaceReport = ClusterReport['namespaces'][number];
type Problem = ClusterReport['problems'][number];

/** Makes the report of a cluster from those of its nodes. Pure. */
export function reportCluster(
  config: ReportedConfig,
  asked: readonly Asked[],
  desired: Desired,
  nowMs: number,
): ClusterReport {
  const problems = asked.flatMap(problemsOfNode);
  const namespaces = [...desired.values()]
    .sort((a, b) => a.config.namespace.localeCompare(b.config.namespace))
    .map((each) => {
      const wrong = wrongDns(config, each.config.namespace, asked);
      const report = reportNamespace(each, asked, wrong);
      if (each.wanted) problems.push(...problemsOfNamespace(config, report, asked, wrong));
      return report;
    });
  return {
    at: new Date(nowMs).toISOString(),
    cluster_id: config.clusterId,
    base_domain: config.baseDomain,
    asked: config.node,
    nodes: asked.map(({ node, report, reason }) => ({
      node: node.id,
      state: node.state,
      public_ips: addressesOf(node),
      report,
      reason,
    })),
    namespaces,
    problems,
  };
}

function reportNamespace(
  { config }: DesiredNamespace,
  asked: readonly Asked[],
  wrong: readonly string[] | null,
): NamespaceReport {
  const { namespace } = config;
  const seen = asked.flatMap(({ report }) => report?.namespaces.filter((one) => one.namespace === namespace) ?? []);
  const sum = (counts: (number | null | undefined)[]) =>
    counts.reduce<number>((total, count) => total + (count ?? 0), 0);
  const days = seen.flatMap(({ turn }) => turn?.certificate?.days ?? []);
  const silent = asked.some(({ report }) => report?.dns.some((one) => one.namespace === namespace && isSilent(one)));
  return {
    namespace,
    state: config.state,
    sfu_up: seen.filter(({ sfu_up }) => sfu_up).length,
    sfu_wanted: config.sfuNodeCount,
    turn_up: seen.filter(({ turn_up }) => turn_up).length,
    turn_wanted: config.turnNodeCount,
    dns_agrees: wrong && wrong.length === 0 && !silent,
    rooms: sum(seen.map(({ sfu }) => sfu?.rooms)),
    peers: sum(seen.map(({ sfu }) => sfu?.peers)),
    relayed_bps: sum(seen.map(({ turn }) => turn?.relayed_bps)),
    certificate_days: days.length === 0 ? null : Math.min(...days),
  };
}

/** A DNS server that gave no answer, or a zone file that cannot be read. */
function isSilent({ addresses }: DnsSeen): boolean {
  return addresses === null;
}

/** What DNS answers otherwise than the nodes that serve; null when no server answered. */
function wrongDns(config: ReportedConfig, namespace: string, asked: readonly Asked[]): string[] | null {
  const answers = asked.flatMap(({ report }) => report?.dns.filter((seen) => seen.namespace === namespace) ?? []);
  const heard = answers.filter(({ addresses }) => addresses !== null);
  if (heard.length === 0) return null;
  // Of who is silent it is not known whether it serves.
  const unknown = new Set(asked.flatMap(({ node, report }) => (report === null ? addressesOf(node) : [])));
  const wrong = heard.flatMap((seen) => {
    const expected = new Set(asked.filter((one) => serves(config, one, seen)).flatMap(({ node }) => addressesOf(node)));
    const named = new Set(seen.addresses);
    const missing = [...expected].filter((address) => !named.has(address));
    const extra = [...named].filter((address) => !expected.has(address) && !unknown.has(address));
    const faults = [
      ...(missing.length > 0 ? [`lacks ${missing.join(', ')}`] : []),
      ...(extra.length > 0 ? [`has ${extra.join(', ')}, which does not serve`] : []),
    ];
    return faults.length === 0 ? [] : [`${seen.name} at ${seen.asked} ${faults.join(' and ')}`];
  });
  return [...new Set(wrong)];
}

function serves({ turn }: ReportedConfig, { node, report }: Asked, { kind, namespace }: DnsSeen): boolean {
  if (!report || node.state !== 'active') return false;
  // What comes to port 443 passes the TURN server there.
  if (kind === 'gateway') return report.gateway.up && (!turn.port443 || report.turn.up);
  const tenant = report.namespaces.find((one) => one.namespace === namespace);
  return tenant?.turn_up === true && !report.turn.draining;
}

/** That an operator wants a node's TURN server not to serve, and what puts an end to it; null where nobody does. */
function takenOut({ node, report }: Asked): string | null {
  if (node.state === 'draining') return `${node.id} is drained; it serves again with "orama node resume ${node.id}"`;
  if (!report?.turn.held && !report?.turn.draining) return null;
  return `turn of ${node.id} is drained; it serves again with "orama turn resume --node ${node.id}"`;
}

function problemsOfNode(asked: Asked): Problem[] {
  const { node, report, reason } = asked;
  const problem = (text: string): Problem => ({ severity: 'critical', node: node.id, namespace: null, text });
  const out = takenOut(asked);
  const drained: Problem[] = out === null ? [] : [{ ...problem(out), severity: 'warning' }];
  if (!report) return [problem(`${node.id} does not answer: ${reason}`)];
  const { store, gateway, turn, port_blocks } = report;
  const down = Object.entries({ store, gateway, turn }).flatMap(([name, { up, reason }]) =>
    up || (name === 'turn' && out !== null) ? [] : [problem(`${name} of ${node.id} is down: ${reason}`)],
  );
  const full = Object.entries(port_blocks).flatMap(([name, { free }]) =>
    free > 0 ? [] : [problem(`${node.id} has no ports left for the ${name} of another namespace`)],
  );
  const silent = new Map(report.dns.filter(isSilent).map(({ asked, reason }) => [asked, reason]));
  const unheard = [...silent].map(([server, why]) => problem(`DNS at ${server} does not answer ${node.id}: ${why}`));
  return [...drained, ...down, ...full, ...unheard];
}

function problemsOfNamespace(
  config: ReportedConfig,
  report: NamespaceReport,
  asked: readonly Asked[],
  wrong: readonly string[] | null,
): Problem[] {
  const { namespace } = report;
  const problem = (text: string, node: string | null = null): Problem => ({
    ...{ severity: 'critical', node, namespace, text },
  });
  const here = asked.flatMap((one) => {
    const found = one.report?.namespaces.find((each) => each.namespace === namespace);
    return found ? [{ node: one.node.id, isOut: takenOut(one) !== null, ...found }] : [];
  });
  const down = here.flatMap(({ node, isOut, sfu, turn }) =>
    Object.entries({ sfu, turn: isOut ? null : turn }).flatMap(([service, seen]) =>
      seen?.reason ? [problem(`${service} of ${namespace} on ${node} is down: ${seen.reason}`, node)] : [],
    ),
  );
  const outOfTurn = here.filter(({ isOut, turn_up }) => isOut && turn_up === false).length;
  const few = (['sfu', 'turn'] as const).flatMap((service): Problem[] => {
    const up = report[`${service}_up`];
    const wanted = report[`${service}_wanted`];
    if (up >= wanted) return [];
    // Without any no call is made, whoever wants it so.
    const isWanted = service === 'turn' && up > 0 && up + outOfTurn >= wanted;
    const few = problem(`${service} of ${namespace} is up on ${up} of ${wanted} nodes`);
    return [{ ...few, severity: isWanted ? 'warning' : 'critical' }];
  });
  const certificates = here.flatMap(({ node, turn }) =>
    turn && turn.reason === null
      ? faultsOfTls(turn, config, namespace).map((fault) => problem(`${fault} on ${node}`, node))
      : [],
  );
  const dns = wrong ?? [`no DNS server answers for ${namespace}`];
  return [...few, ...down, ...certificates, ...dns.map((text) => problem(text))];
}

type Tenant = NonNullable<NodeReport['namespaces'][number]['turn']>;

/** What keeps a TLS client from TURN, or soon will. */
function faultsOfTls(
  { certificate, certificate_reason }: Tenant,
  { turn, baseDomain }: ReportedConfig,
  namespace: string,
): string[] {
  if (!certificate) return [`no TLS client gets to ${turnDomain(namespace, baseDomain)} (${certificate_reason})`];
  const { name, days, self_signed, name_matches } = certificate;
  const left = days < 0 ? 'has ended' : `ends in ${days} days`;
  return [
    ...(days < CERTIFICATE_DAYS_MIN ? [`the certificate of ${name} ${left}`] : []),
    // Where URIs carry addresses nobody could vouch for one.
    ...(turn.advertise === 'names' && self_signed ? [`the certificate of ${name} is self-signed`] : []),
    ...(turn.advertise === 'names' && !name_matches ? [`the certificate for ${name} was made for other names`] : []),
  ];
}

function addressesOf({ publicIp, publicIp6 }: NodeRow): string[] {
  return publicIp6 === null ? [publicIp] : [publicIp, publicIp6];
}
