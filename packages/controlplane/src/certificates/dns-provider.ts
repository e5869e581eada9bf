import { isIPv6 } from 'node:net';
import { readSecretFile } from '@orama/core';
import type { DnsConfig } from '@orama/protocol';

/** How a Caddy with the right module writes into the zone that we write into. */
export interface CaddyDnsProvider {
  /** Of the module, after `dns.providers.`. */
  name: string;
  settings: Readonly<Record<string, string>>;
}

/** The provider of Caddy's that belongs to a DNS writer of ours; null where there is none. Reads its secret. */
export function dnsProviderOf(dns: DnsConfig): CaddyDnsProvider | null {
  if (dns.writer === 'rfc2136') {
    const { server, tsig } = dns;
    const host = isIPv6(server.address) ? `[${server.address}]` : server.address;
    const settings = {
      name: 'rfc2136',
      key_name: tsig.name,
      key_alg: tsig.algorithm,
      key: readSecretFile(tsig.keyFile),
      server: `${host}:${server.port}`,
    };
    return { name: settings.name, settings };
  }
  if (dns.writer === 'powerdns') {
    const { url, server, apiKeyFile } = dns;
    const settings = {
      name: 'powerdns',
      server_url: url,
      server_id: server,
      api_token: readSecretFile(apiKeyFile),
    };
    return { name: settings.name, settings };
  }
  return null;
}
