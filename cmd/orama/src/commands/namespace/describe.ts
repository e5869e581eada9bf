import type { ServiceStatus, WebrtcStatus } from '@orama/protocol';
import type { Output } from '../../output/output.ts';
import { renderFields, renderTable } from '../../output/table.ts';
import { turnSettingsFields } from './turn-options.ts';

/** The status of a namespace as people read it: what is wanted, what is seen, and what is wrong. */
export function describeStatus(output: Output, status: WebrtcStatus): string {
  if (status.state === 'off') {
    const next = `enable it with "orama namespace enable webrtc --namespace ${status.namespace}"`;
    return [`WebRTC is off for namespace ${status.namespace}; ${next}`, ...problems(output, status)].join('\n');
  }
  const health = status.healthy ? output.style('green', 'healthy') : output.style('red', 'not healthy');
  return [
    renderFields([
      ['namespace', status.namespace],
      ['WebRTC', `${status.state}, ${health}`],
      ['SFU nodes', String(status.sfuNodeCount)],
      ['TURN nodes', String(status.turnNodeCount)],
      ['TURN credentials', `live ${status.turnCredentialTtlSec} s`],
      ...(status.formerSecretValidUntil
        ? [['former secret', `valid until ${status.formerSecretValidUntil}`] as [string, string]]
        : []),
      ...(status.turn ? turnSettingsFields(status.turn) : []),
      ['TURN name', status.turnDomain],
      ['TURN URIs', status.turnUris.join('\n                  ') || '-'],
      ['TURN certificate', describeCertificates(status.services).join('\n                  ') || '-'],
      ['rooms', String(status.rooms)],
      ...(status.enabledAt
        ? [['enabled', `${status.enabledAt} by ${status.enabledBy ?? '-'}`] as [string, string]]
        : []),
    ]),
    renderTable(
      output,
      ['node', 'service', 'state', 'address', 'ports', 'load', 'since', 'reason'],
      status.services.map((service) => [
        service.node,
        service.service,
        describeService(output, service),
        service.address,
        service.ports,
        describeLoad(service),
        service.since,
        service.reason ?? '',
      ]),
    ),
    ...(status.dns.length === 0
      ? []
      : [
          renderTable(
            output,
            ['DNS name', 'type', 'value', 'ttl', 'served'],
            status.dns.map((record) => [
              record.fqdn,
              record.type,
              record.value,
              `${record.ttl} s`,
              record.served ? 'yes' : 'no',
            ]),
          ),
        ]),
    ...problems(output, status),
    ...(status.operation ? [`${status.operation.kind} is going on since ${status.operation.createdAt}`] : []),
  ].join('\n');
}

/** One line for nodes that show alike. */
function describeCertificates(services: readonly ServiceStatus[]): string[] {
  const nodes = new Map<string, string[]>();
  for (const { node, certificate } of services) {
    if (certificate === undefined) continue;
    const daysLeft = Math.floor((Date.parse(certificate.notAfter) - Date.now()) / 86_400_000);
    const text = `${certificate.selfSigned ? 'self-signed' : `by ${certificate.issuer}`}, ${daysLeft} days left`;
    nodes.set(text, [...(nodes.get(text) ?? []), node]);
  }
  return Array.from(nodes, ([text, names]) => `${names.join(', ')}: ${text}`);
}

function describeService(output: Output, service: ServiceStatus): string {
  if (service.healthy) return output.style('green', 'healthy');
  const wanted = service.desired === 'absent' && service.observed !== 'absent' ? ', to be removed' : '';
  return output.style('red', `${service.observed}${wanted}`);
}

function describeLoad(service: ServiceStatus): string {
  if (service.peers !== undefined) return `${service.peers} peers`;
  if (service.allocations !== undefined) return `${service.allocations} allocations`;
  return '';
}

function problems(output: Output, status: WebrtcStatus): string[] {
  return status.problems.map((problem) => `${output.style('red', 'problem')}: ${problem}`);
}
