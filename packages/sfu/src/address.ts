import { AddressSet, ConfigError, unmapIpv4 } from '@orama/core';
import type { SfuConfig } from '@orama/protocol';

/**
 * Refuses to run anywhere but inside the WireGuard network.
 * @throws ConfigError when the address is a wildcard or lies outside
 */
export function requireWireguardAddress(config: Pick<SfuConfig, 'address' | 'wireguardNetwork'>): void {
  const { address, wireguardNetwork } = config;
  const hint = `an SFU is reached through TURN only: give it the node's WireGuard address, inside ${wireguardNetwork}`;
  if (address === '0.0.0.0' || address === '::')
    throw new ConfigError(`the SFU must not listen on ${address}, every address of the machine`, { hint });
  if (Number(wireguardNetwork.split('/')[1]) === 0)
    throw new ConfigError(`wireguardNetwork ${wireguardNetwork} is the whole internet, not a WireGuard network`, {
      hint,
    });
  // A mapped address opens an IPv6 socket, and libdatachannel knows nothing of it.
  if (unmapIpv4(address) !== address || !new AddressSet([wireguardNetwork]).has(address))
    throw new ConfigError(
      `the SFU must not listen on ${address}: it is outside the WireGuard network ${wireguardNetwork}`,
      { hint },
    );
}
