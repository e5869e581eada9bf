import { createHash } from 'node:crypto';
import { type ControlplaneConfig, type SfuConfigInput, sfuConfigSchema } from '@orama/protocol';
import { nodePaths } from '../node-context.ts';
import type { DesiredNamespace } from '../reconcile/desired.ts';
import { sfuUnit } from '../services/service-manager.ts';

/** How long an SFU that is restarted waits for its clients to go elsewhere. */
export const SFU_DRAIN_MS = 5_000;

/** An SFU as it must run on a node. */
export interface SfuUnit {
  unit: string;
  /** Content of its configuration file. */
  configText: string;
  /** Content of its secret file. */
  secret: string;
  /** Hash over both, but for the TURN servers, which an SFU that runs reads again. */
  configDigest: string;
}

/**
 * The SFU of a namespace on this node; null when it must not run here. Pure.
 * @param turnUris what its clients are led to now
 */
export function sfuUnitOf(
  own: ControlplaneConfig,
  { config, wanted, sfu }: DesiredNamespace,
  turnUris: string[],
  secret: string,
): SfuUnit | null {
  const here = sfu.find((row) => row.nodeId === own.node);
  if (!wanted || !here) return null;
  const unit = sfuUnit(config.namespace);
  const input: SfuConfigInput = {
    node: own.node,
    namespace: config.namespace,
    address: here.hostIp,
    wireguardNetwork: own.wireguardNetwork,
    signalingPort: here.signalingPort,
    mediaPortStart: here.mediaPortStart,
    mediaPortEnd: here.mediaPortEnd,
    secretFile: nodePaths(own.dataDir).unitSecret(unit),
    turn: { uris: turnUris, credentialTtlSec: config.turnCredentialTtlSec },
    drainTimeoutMs: SFU_DRAIN_MS,
    generation: config.sfuGeneration,
    logLevel: own.logLevel,
  };
  const { turn, ...fixed } = sfuConfigSchema.parse(input);
  const configText = `${JSON.stringify({ ...fixed, turn }, null, 2)}\n`;
  const configDigest = createHash('sha256').update(JSON.stringify(fixed)).update(secret).digest('hex');
  return { unit, configText, secret, configDigest };
}
