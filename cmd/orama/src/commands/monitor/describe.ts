import type { ClusterReport, NodeReport } from '@orama/protocol';
import type { Output } from '../../output/output.ts';
import { bits } from '../../output/quantity.ts';
import { renderTable } from '../../output/table.ts';

/** A report for people: nodes, namespaces, both together, and what is wrong. */
export function describeReport(output: Output, report: ClusterReport): string {
  const { nodes, namespaces, problems } = report;
  const parts = [
    `${report.base_domain} at ${report.at}, as ${report.asked} sees it`,
    renderTable(
      output,
      ['node', 'store', 'gateway', 'turn', 'allocations', 'relayed', 'delay ms', 'restarts', 'blocks left'],
      nodes.map((node) => describeNode(output, node)),
    ),
  ];
  if (namespaces.length > 0) {
    const placed = nodes.flatMap(({ node, report }) =>
      (report?.namespaces ?? []).map((one) => describePlaced(output, node, one)),
    );
    parts.push(
      renderTable(
        output,
        ['namespace', 'sfu_up', 'turn_up', 'dns', 'rooms', 'peers', 'relayed', 'certificate'],
        namespaces.map((namespace) => describeNamespace(output, namespace)),
      ),
      renderTable(
        output,
        ['namespace', 'node', 'sfu_up', 'turn_up', 'rooms', 'peers', 'relayed', 'certificate', 'delay ms', 'restarts'],
        placed,
      ),
    );
  }
  const said = problems.map(({ severity, text }) =>
    output.style(severity === 'critical' ? 'red' : 'yellow', `! ${text}`),
  );
  return [...parts, said.length === 0 ? output.style('green', 'everything is as it should be') : said.join('\n')].join(
    '\n\n',
  );
}

function describeNode(output: Output, { node, state, report }: ClusterReport['nodes'][number]): string[] {
  const name = state === 'active' ? node : `${node} (${state})`;
  if (!report) return [name, output.style('red', 'no answer'), '', '', '', '', '', '', ''];
  const { store, gateway, turn, controlplane, port_blocks } = report;
  const delays = [controlplane, gateway, turn].flatMap(({ event_loop_delay_ms }) => event_loop_delay_ms ?? []);
  const storeState = store.up ? `${store.role ?? store.driver} ${store.latency_ms} ms` : 'down';
  return [
    name,
    store.up ? output.style('green', storeState) : output.style('red', storeState),
    up(output, gateway.up),
    turnState(output, turn),
    number(turn.allocations),
    rate(turn.relayed_bps),
    delays.length === 0 ? '' : Math.max(...delays).toFixed(1),
    String(controlplane.restarts + gateway.restarts + turn.restarts),
    `${port_blocks.sfu.free} sfu, ${port_blocks.turn.free} turn`,
  ];
}

function describeNamespace(output: Output, one: ClusterReport['namespaces'][number]): string[] {
  const counted = (is: number, wanted: number) => output.style(is < wanted ? 'red' : 'green', `${is} of ${wanted}`);
  return [
    one.state === 'enabled' ? one.namespace : `${one.namespace} (${one.state})`,
    counted(one.sfu_up, one.sfu_wanted),
    counted(one.turn_up, one.turn_wanted),
    one.dns_agrees === null
      ? output.style('red', 'no answer')
      : one.dns_agrees
        ? output.style('green', 'agrees')
        : output.style('red', 'differs'),
    String(one.rooms),
    String(one.peers),
    rate(one.relayed_bps),
    one.certificate_days === null ? '' : `${one.certificate_days} days`,
  ];
}

function describePlaced(output: Output, node: string, one: NodeReport['namespaces'][number]): string[] {
  const { sfu, turn } = one;
  const certificate = turn?.certificate;
  return [
    one.namespace,
    node,
    one.sfu_up === null ? '' : up(output, one.sfu_up),
    one.turn_up === null ? '' : up(output, one.turn_up),
    number(sfu?.rooms ?? null),
    number(sfu?.peers ?? null),
    rate(turn?.relayed_bps ?? null),
    certificate ? `${certificate.days} days${certificate.self_signed ? ', self-signed' : ''}` : '',
    sfu?.event_loop_delay_ms?.toFixed(1) ?? '',
    String((sfu?.restarts ?? 0) + (turn?.restarts ?? 0)),
  ];
}

function turnState(output: Output, { draining, held, up: isUp }: NodeReport['turn']): string {
  if (draining) return output.style('yellow', 'draining');
  return held && !isUp ? output.style('yellow', 'drained') : up(output, isUp);
}

function up(output: Output, isUp: boolean): string {
  return isUp ? output.style('green', 'up') : output.style('red', 'down');
}

function number(value: number | null): string {
  return value === null ? '' : String(value);
}

function rate(bps: number | null): string {
  return bps === null ? '' : bits(bps);
}
