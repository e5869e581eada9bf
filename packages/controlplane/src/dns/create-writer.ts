import { type Clock, ConfigError, type Logger, readSecretFile } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import { PowerDnsZone } from './powerdns.ts';
import { RemoteZone } from './remote-zone.ts';
import { Rfc2136Zone } from './rfc2136.ts';
import type { DnsWriter } from './writer.ts';
import { ZoneFileWriter } from './zone-file.ts';

/** The writer that the configuration names; null for the embedded server, which writes nowhere. Throws ConfigError. */
export function createDnsWriter(
  { dns, baseDomain }: ControlplaneConfig,
  { clock, logger }: { clock: Clock; logger: Logger },
): DnsWriter | null {
  if (dns.writer === 'embedded') return null;
  if (dns.writer === 'file') return new ZoneFileWriter(dns.file);
  if (dns.writer === 'rfc2136') {
    const { server, tsig, timeoutMs, zone = baseDomain } = dns;
    const key = { ...tsig, secret: readTsigSecret(tsig.keyFile) };
    return new RemoteZone(new Rfc2136Zone({ server, zone, key, timeoutMs, clock }), baseDomain, { clock, logger });
  }
  const { url, server, apiKeyFile, timeoutMs, zone = baseDomain } = dns;
  const apiKey = readSecretFile(apiKeyFile);
  return new RemoteZone(new PowerDnsZone({ url, server, zone, apiKey, timeoutMs, logger }), baseDomain, {
    clock,
    logger,
  });
}

function readTsigSecret(file: string): Buffer {
  const text = readSecretFile(file);
  const secret = Buffer.from(text, 'base64');
  if (secret.length >= 16 && secret.toString('base64') === text) return secret;
  throw new ConfigError(`dns.tsig.keyFile: ${file} does not hold at least 16 bytes in base64`, {
    hint: 'write what "secret" says in the key of the DNS server',
  });
}
