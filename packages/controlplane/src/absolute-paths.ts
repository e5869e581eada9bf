import { resolve } from 'node:path';
import type { ControlplaneConfig, DnsConfig, StoreConfig } from '@orama/protocol';

/** Services are started in another working directory, so that paths in their configuration must not depend on ours. */
export function withAbsolutePaths(config: ControlplaneConfig): ControlplaneConfig {
  return {
    ...config,
    dataDir: resolve(config.dataDir),
    clusterKeyFile: resolve(config.clusterKeyFile),
    store: withAbsoluteStorePaths(config.store),
    dns: withAbsoluteDnsPaths(config.dns),
  };
}

function withAbsoluteDnsPaths(dns: DnsConfig): DnsConfig {
  if (dns.writer === 'file') return { ...dns, file: resolve(dns.file) };
  if (dns.writer === 'rfc2136') return { ...dns, tsig: { ...dns.tsig, keyFile: resolve(dns.tsig.keyFile) } };
  return dns.writer === 'powerdns' ? { ...dns, apiKeyFile: resolve(dns.apiKeyFile) } : dns;
}

function withAbsoluteStorePaths(store: StoreConfig): StoreConfig {
  if (store.driver === 'sqlite') return { ...store, file: resolve(store.file) };
  const { credentialsFile, caFile } = store;
  return {
    ...store,
    ...(credentialsFile === undefined ? {} : { credentialsFile: resolve(credentialsFile) }),
    ...(caFile === undefined ? {} : { caFile: resolve(caFile) }),
  };
}
