import { type Clock, readSecretFile } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import { PowerDnsZone } from './powerdns.ts';
import { RemoteZone } from './remote-zone.ts';
import type { DnsWriter } from './writer.ts';
import { ZoneFileWriter } from './zone-file.ts';

/** The writer that the configuration names; null for the embedded server, which writes nowhere. Throws ConfigError. */
export function createDnsWriter({ dns, baseDomain }: ControlplaneConfig, clock: Clock): DnsWriter | null {
  if (dns.writer === 'embedded') return null;
  if (dns.writer === 'file') return new ZoneFileWriter(dns.file);
  const { url, server, apiKeyFile, timeoutMs, zone = baseDomain } = dns;
  const apiKey = readSecretFile(apiKeyFile);
  return new RemoteZone(new PowerDnsZone({ url, server, zone, apiKey, timeoutMs }), baseDomain, clock);
}
