import { renderFields } from '../output/table.ts';
import { CheckFailure } from './failure.ts';
import type { CheckResult } from './result.ts';

/** What was measured of a server as people read it, one step a line, and with `failed` what ended it. */
export function describeCheck(check: CheckResult | CheckFailure, failed: boolean): string {
  const result = check instanceof CheckFailure ? check.result : check;
  const { resolve, connect, tls, binding, allocate, bind, relay, server } = result;
  const lines: [string, string][] = [['server', `${result.uri} (${server.transport}, port ${server.port})`]];
  if (resolve) lines.push(['resolve', `${resolve.address}, ${resolve.ms} ms`]);
  if (connect) lines.push(['connect', `${connect.ms} ms`]);
  if (tls) {
    const { certificate } = tls;
    lines.push(['TLS', `${tls.protocol}, ${tls.cipher}, ${tls.ms} ms`]);
    lines.push(['certificate', `${certificate.subject || '-'}, issued by ${certificate.issuer || '-'}`]);
    lines.push(['', `for ${certificate.names.join(', ') || 'no name'}, until ${certificate.validTo}`]);
    lines.push(['', tls.distrust === null ? 'trusted' : `not to be trusted: ${tls.distrust}`]);
  }
  if (binding) lines.push(['binding', `seen as ${binding.mapped}, ${binding.ms} ms`]);
  if (allocate) {
    lines.push(['allocate', `relayed ${allocate.relayed}, for ${allocate.lifetimeSec} s, ${allocate.ms} ms`]);
    lines.push(['', `seen as ${allocate.mapped}`]);
    if (allocate.software !== null) lines.push(['software', allocate.software]);
  }
  if (bind) lines.push(['bind', `a channel to itself, ${bind.ms} ms`]);
  if (relay) {
    lines.push(['relay', `${relay.received} of ${relay.sent} packets of ${relay.bytes} bytes came back`]);
    if (relay.received > 0)
      lines.push(['', `round trip min ${relay.minMs}, median ${relay.medianMs}, max ${relay.maxMs} ms`]);
  }
  if (failed && check instanceof CheckFailure) {
    lines.push(['failed', check.message]);
    if (check.hint !== undefined) lines.push(['next', check.hint]);
  }
  return renderFields(lines);
}
