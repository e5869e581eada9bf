import { turnDomain } from '@orama/protocol';
import type { DnsRecordRow, NodeRow, ServiceReportRow } from '@orama/store';
import type { Desired, DesiredNamespace } from '../reconcile/desired.ts';
import { addressType } from './writer.ts';

const TTL_SEC = 60;
/** A TURN server that is restarted is back before clients would notice; its record is left alone that long. */
const GRACE_MS = 5_000;

export interface DnsSituation {
  desired: Desired;
  reports: readonly ServiceReportRow[];
  /** For how long a report has said the same of its service's health, as the planner saw it. */
  standsForMs: (report: ServiceReportRow) => number;
  nodes: readonly NodeRow[];
  /** The records as stored. */
  current: readonly DnsRecordRow[];
  baseDomain: string;
  /** When the new records are made; shown only. */
  nowMs: number;
}

/** A namespace whose records must become others. */
export interface DnsChange {
  namespace: string;
  /** Generation of the settings this was derived from; null when the namespace has none. */
  generation: number | null;
  records: DnsRecordRow[];
}

/**
 * One record per address of each healthy TURN node of each wanted namespace. While none is healthy the records stay as they are: a name
 * that leads to a server that may come back is better than none. Pure.
 */
export function planDns(situation: DnsSituation): DnsChange[] {
  const changes: DnsChange[] = [];
  const byNamespace = Map.groupBy(situation.current, (record) => record.namespace);
  const reports = Map.groupBy(situation.reports, (report) => report.namespace);
  const nodes = new Map(situation.nodes.map((node) => [node.id, node]));
  for (const namespace of new Set([...situation.desired.keys(), ...byNamespace.keys()])) {
    const entry = situation.desired.get(namespace);
    const current = byNamespace.get(namespace) ?? [];
    const addresses = current.filter(({ type }) => type !== 'TXT');
    const records = entry?.wanted
      ? recordsOf(entry, addresses, { ...situation, reports: reports.get(namespace) ?? [], nodes })
      : [];
    // Texts are somebody else's, who put them there and takes them away; they end with the namespace.
    const texts = entry?.wanted ? current.filter(({ type }) => type === 'TXT') : [];
    const all = [...records, ...texts];
    if (valuesOf(all) !== valuesOf(current)) {
      changes.push({ namespace, generation: entry?.config.generation ?? null, records: all });
    }
  }
  return changes;
}

function recordsOf(
  { config, turn }: DesiredNamespace,
  current: readonly DnsRecordRow[],
  {
    reports,
    standsForMs,
    nodes,
    baseDomain,
    nowMs,
  }: Omit<DnsSituation, 'nodes'> & { nodes: ReadonlyMap<string, NodeRow> },
): DnsRecordRow[] {
  const fqdn = turnDomain(config.namespace, baseDomain);
  const records = new Map<string, DnsRecordRow>();
  for (const { nodeId } of turn) {
    const node = nodes.get(nodeId);
    const report = reports.find(
      (one) => one.nodeId === nodeId && one.namespace === config.namespace && one.service === 'turn',
    );
    if (!node?.reachable) continue;
    const served = current.some((record) => record.nodeId === nodeId);
    const healthy = report?.healthy === true && report.generation === config.generation;
    // A node that is named already stays so while it restarts, and while it takes up other settings.
    const stays = served && report && (report.healthy || standsForMs(report) < GRACE_MS);
    if (!healthy && !stays) continue;
    for (const value of [node.publicIp, node.publicIp6]) {
      if (value === null) continue;
      const known = current.find((record) => record.nodeId === nodeId && record.value === value);
      const base = { fqdn, type: addressType(value), value, ttlSec: TTL_SEC, namespace: config.namespace, nodeId };
      records.set(value, known ?? { ...base, createdBy: 'controlplane', createdAtMs: nowMs });
    }
  }
  return records.size > 0 ? [...records.values()] : [...current];
}

function valuesOf(records: readonly DnsRecordRow[]): string {
  return records
    .map((record) => `${record.fqdn} ${record.type} ${record.value} ${record.nodeId}`)
    .sort()
    .join('\n');
}
