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

const SERVICES = ['sfu', 'turn'] as const;

/** Whether an operator wants a service of a node not to serve. A TURN server that drains by itself is about to end. */
function isTakenOut(service: (typeof SERVICES)[number], { node, report }: Asked): boolean {
  return node.state === 'draining' || (service === 'turn' && report?.turn.held === true);
}

/** What an operator took out, and what puts an end to it; null where nobody did. */
function takenOut(asked: Asked): string | null {
  const { id, state } = asked.node;
  if (state === 'draining') return `${id} is drained; it serves again with "orama node resume ${id}"`;
  if (!isTakenOut('turn', asked)) return null;
  return `turn of ${id} is drained; it serves again with "orama turn resume --node ${id}"`;
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
  const tenantOf = ({ report }: Asked) => report?.namespaces.find((each) => each.namespace === namespace);
  const down = asked.flatMap((one) =>
    SERVICES.flatMap((service) => {
      const reason = isTakenOut(service, one) ? null : tenantOf(one)?.[service]?.reason;
      return reason ? [problem(`${service} of ${namespace} on ${one.node.id} is down: ${reason}`, one.node.id)] : [];
    }),
  );
  const few = SERVICES.flatMap((service): Problem[] => {
    const up = report[`${service}_up`];
    const wanted = report[`${service}_wanted`];
    if (up >= wanted) return [];
    // A node that was drained has given the namespace away, also where no other can take it.
    const out = asked.filter((one) => isTakenOut(service, one) && tenantOf(one)?.[`${service}_up`] !== true).length;
    // Without any no call is made, whoever wants it so.
    const isWanted = up > 0 && up + out >= wanted;
    const few = problem(`${service} of ${namespace} is up on ${up} of ${wanted} nodes`);
    return [{ ...few, severity: isWanted ? 'warning' : 'critical' }];
  });
  const certificates = asked.flatMap((one) => {
    const turn = tenantOf(one)?.turn;
    if (!turn || turn.reason !== null) return [];
    return faultsOfTls(turn, config, namespace).map((fault) => problem(`${fault} on ${one.node.id}`, one.node.id));
  });
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
