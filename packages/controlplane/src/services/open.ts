import type { Clock, Failpoints, Logger } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import { ProcessServices } from './processes.ts';
import type { ServiceManager } from './service-manager.ts';
import { SystemdServices } from './systemd.ts';

interface Surroundings {
  clock: Clock;
  logger: Logger;
  failpoints: Failpoints;
  /** How long a TURN server may take to end. */
  turnStopMs: number;
}

/** Opens the service manager that a node is configured to have. */
export function openServices(
  config: ControlplaneConfig,
  { turnStopMs, failpoints, ...common }: Surroundings,
): Promise<ServiceManager> {
  if (config.services.manager === 'processes')
    return ProcessServices.open({ dataDir: config.dataDir, failpoints, ...common });
  return SystemdServices.open({ wireguardNetwork: config.wireguardNetwork, turnStopMs, ...common });
}

/** Where a unit finds the cluster key: its unit file has systemd hand it over. */
export function clusterKeyFileOf({ services, clusterKeyFile }: ControlplaneConfig, unit: string): string {
  return services.manager === 'systemd' ? `/run/credentials/${unit}.service/cluster.key` : clusterKeyFile;
}

/** Command line of a unit's program; empty where its unit file has it. */
export function commandOf(
  { services }: ControlplaneConfig,
  program: 'gateway' | 'turn' | 'sfu',
  configFile: string,
): string[] {
  return services.manager === 'processes' ? [...services.programs[program], '--config', configFile] : [];
}
