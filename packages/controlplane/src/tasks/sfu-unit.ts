import { createHash } from 'node:crypto';
import { type ControlplaneConfig, type SfuConfigInput, sfuConfigSchema } from '@orama/protocol';
import { nodePaths } from '../node-context.ts';
import type { DesiredNamespace } from '../reconcile/desired.ts';
import { type HealthAddress, sfuUnit } from '../services/service-manager.ts';

/** How long an SFU that is restarted waits for its clients to go elsewhere. */
const SFU_DRAIN_MS = 5_000;
/** After which it is killed. */
export const SFU_STOP_MS = SFU_DRAIN_MS + 1_000;

/** An SFU as it must run on a node. */
export interface SfuUnit {
  unit: string;
  /** Content of its configuration file. */
  configText: string;
  /** Content of its secret file. */
  secret: string;
  /** Hash over both, but for what an SFU that runs reads again: the TURN servers with their secret, and the generation. */
  configDigest: string;
  health: HealthAddress;
}

/**
 * The SFU of a namespace on this node; null when it must not run here. Pure.
 * @param turn what its clients are led to now, and the secret of their credentials
 * @param secret the namespace's SFU secret
 */
export function sfuUnitOf(
  own: ControlplaneConfig,
  { config, wanted, sfu }: DesiredNamespace,
  turn: { uris: string[]; secret: string },
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
    turn: { ...turn, credentialTtlSec: config.turnCredentialTtlSec },
    drainTimeoutMs: SFU_DRAIN_MS,
    generation: config.generation,
    logLevel: own.logLevel,
  };
  const parsed = sfuConfigSchema.parse(input);
  const { turn: _turn, generation: _generation, ...fixed } = parsed;
  const configText = `${JSON.stringify(parsed, null, 2)}\n`;
  const configDigest = createHash('sha256').update(JSON.stringify(fixed)).update(secret).digest('hex');
  return { unit, configText, secret, configDigest, health: { address: here.hostIp, port: here.signalingPort } };
}
