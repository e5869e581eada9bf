import {
  type ControlplaneConfig,
  DEFAULT_TURN_CREDENTIAL_TTL_SEC,
  type ServiceStatus,
  turnDomain,
  type WebrtcStatus,
} from '@orama/protocol';
import type {
  DnsRecordRow,
  NodeRow,
  OperationRow,
  ServiceReportRow,
  TakenBlockRow,
  WebrtcConfigRow,
} from '@orama/store';
import { turnSettingsOf } from '../operations/turn-settings.ts';
import { namespaceTurnUris } from '../reconcile/desired.ts';
import { reportedCertificateSchema } from '../tasks/turn-certificate.ts';
import { toOperation } from './views.ts';

/** Everything the store has about a namespace's WebRTC. */
export interface WebrtcSituation {
  namespace: string;
  settings: WebrtcConfigRow | null;
  allocations: readonly TakenBlockRow[];
  reports: readonly ServiceReportRow[];
  nodes: readonly NodeRow[];
  dns: readonly DnsRecordRow[];
  rooms: number;
  operation: OperationRow | null;
  nowMs: number;
}

/** Status of a namespace's WebRTC, with what is wrong in words. Pure. */
export function webrtcStatusOf(config: ControlplaneConfig, situation: WebrtcSituation): WebrtcStatus {
  const { namespace, settings, allocations, operation } = situation;
  const dnsReport = situation.reports.find((report) => report.service === 'dns');
  const served = dnsReport?.observed === 'running' && dnsReport.generation === settings?.generation;
  const services = allocations.map((row) => serviceStatusOf(row, situation));
  const problems = problemsOf(situation, services);
  return {
    namespace,
    state: settings?.state ?? 'off',
    healthy: settings !== null && settings.state === 'enabled' && problems.length === 0,
    sfuNodeCount: settings?.sfuNodeCount ?? 0,
    turnNodeCount: settings?.turnNodeCount ?? 0,
    turnCredentialTtlSec: settings?.turnCredentialTtlSec ?? DEFAULT_TURN_CREDENTIAL_TTL_SEC,
    turn: settings && turnSettingsOf(settings),
    turnDomain: turnDomain(namespace, config.baseDomain),
    turnUris: namespaceTurnUris(config, namespace, {
      ...situation,
      ports: allocations.filter((row) => row.leavingSinceMs === null),
    }),
    generation: settings?.generation ?? 0,
    ...(settings && { enabledBy: settings.enabledBy, enabledAt: new Date(settings.enabledAtMs).toISOString() }),
    ...formerSecretOf(settings, situation.nowMs),
    services,
    dns: situation.dns.map(({ fqdn, type, value, ttlSec }) => ({ fqdn, type, value, ttl: ttlSec, served })),
    rooms: situation.rooms,
    problems,
    operation: operation && toOperation(operation),
  };
}

function serviceStatusOf(row: TakenBlockRow, situation: WebrtcSituation): ServiceStatus {
  const { settings, reports, nodes } = situation;
  const report = reports.find((one) => one.nodeId === row.nodeId && one.service === row.service);
  const node = nodes.find(({ id }) => id === row.nodeId);
  const silent = !node?.reachable;
  const current = report !== undefined && report.generation === settings?.generation;
  const reason = silent
    ? `${row.nodeId} is unreachable`
    : (report?.reason ?? (current ? undefined : `${row.nodeId} has not begun yet`));
  const count = (name: string) => (typeof report?.details[name] === 'number' ? report.details[name] : 0);
  return {
    node: row.nodeId,
    service: row.service,
    desired: settings && settings.state !== 'disabling' && row.leavingSinceMs === null ? 'running' : 'absent',
    observed: silent || !report ? 'unknown' : report.observed,
    healthy: !silent && current && report.healthy,
    ...(reason !== undefined && { reason }),
    since: new Date(report?.sinceMs ?? row.allocatedAtMs).toISOString(),
    ...(row.service === 'sfu'
      ? {
          address: row.hostIp,
          ports: `signalling ${row.signalingPort}, media ${row.mediaPortStart}-${row.mediaPortEnd}`,
          peers: count('peers'),
        }
      : {
          address: node?.publicIp ?? '',
          ports: `listen ${row.listenPort}, TLS ${row.tlsPort}, relay ${row.relayPortStart}-${row.relayPortEnd}`,
          allocations: count('allocations'),
          ...certificateOf(report),
        }),
  };
}

function formerSecretOf(settings: WebrtcConfigRow | null, nowMs: number): Pick<WebrtcStatus, 'formerSecretValidUntil'> {
  const endsAtMs = settings?.previousSecretExpiresAtMs ?? 0;
  return endsAtMs > nowMs ? { formerSecretValidUntil: new Date(endsAtMs).toISOString() } : {};
}

function certificateOf(report: ServiceReportRow | undefined): Pick<ServiceStatus, 'certificate'> {
  const { data } = reportedCertificateSchema.safeParse(report?.details.certificate);
  return data ? { certificate: { ...data, notAfter: new Date(data.notAfter).toISOString() } } : {};
}

function problemsOf(situation: WebrtcSituation, services: readonly ServiceStatus[]): string[] {
  const { settings, reports, dns } = situation;
  if (!settings) return [];
  if (settings.state === 'disabling') {
    const left = services.filter((service) => service.observed !== 'absent');
    return left.map((service) => `${service.service} on ${service.node} is not gone yet${because(service.reason)}`);
  }
  const wanted = services.filter((service) => service.desired === 'running');
  const problems = wanted
    .filter((service) => !service.healthy)
    .map((service) => `${service.service} on ${service.node} is not healthy${because(service.reason)}`);
  for (const [service, asked] of [
    ['sfu', settings.sfuNodeCount],
    ['turn', settings.turnNodeCount],
  ] as const) {
    const placed = wanted.filter((one) => one.service === service).length;
    if (placed < asked) problems.push(`${service} is on ${placed} of ${asked} nodes: no other node can take it`);
  }
  for (const report of reports) {
    const isHere = wanted.some(({ node }) => node === report.nodeId);
    if (report.service === 'state-file' && isHere && !report.healthy)
      problems.push(`cluster_state.json on ${report.nodeId} is not right${because(report.reason)}`);
  }
  for (const { node, certificate } of wanted) {
    if (certificate?.problem !== undefined)
      problems.push(`the certificate on ${node} is not right: ${certificate.problem}`);
  }
  const dnsReport = reports.find((report) => report.service === 'dns');
  if (!dnsReport?.healthy) problems.push(`DNS is not right${because(dnsReport?.reason)}`);
  const turnNodes = wanted.filter((service) => service.service === 'turn').map((service) => service.node);
  const named = new Set(dns.map((record) => record.nodeId));
  for (const node of turnNodes) if (!named.has(node)) problems.push(`the TURN name does not lead to ${node}`);
  return problems;
}

function because(reason: string | null | undefined): string {
  return reason ? `: ${reason}` : '';
}
