import { type SecretBox, sfuControlKey, sfuSecretOf, UserError } from '@orama/core';
import type { WebrtcConfigRepository } from '@orama/store';

/** What the gateway needs of a namespace's WebRTC configuration, with the secret in clear. */
export interface WebrtcSettings {
  namespace: string;
  turnSecret: string;
  credentialTtlSec: number;
  /** Signs tickets and room commands. */
  controlKey: Buffer;
}

/** Reads WebRTC settings; nothing is cached, so that enabling and disabling take effect with the next request. */
export class WebrtcSettingsReader {
  readonly #configs: WebrtcConfigRepository;
  readonly #secrets: SecretBox;
  readonly #clusterKey: string;

  /** @param secrets box with the purpose `TURN_SECRET_PURPOSE` */
  constructor(configs: WebrtcConfigRepository, secrets: SecretBox, clusterKey: string) {
    this.#configs = configs;
    this.#secrets = secrets;
    this.#clusterKey = clusterKey;
  }

  /** Settings of a namespace. Throws UserError WEBRTC_NOT_ENABLED unless it is fully enabled. */
  async of(namespace: string): Promise<WebrtcSettings> {
    const row = await this.#configs.get(namespace);
    if (row?.state !== 'enabled') throw notEnabled(namespace, row?.state === 'enabling');
    return {
      namespace,
      turnSecret: this.#secrets.open(row.turnSharedSecret, namespace),
      credentialTtlSec: row.turnCredentialTtlSec,
      controlKey: sfuControlKey(sfuSecretOf(this.#clusterKey, namespace)),
    };
  }
}

/** The error of a namespace whose WebRTC is off, or not on yet. */
export function notEnabled(namespace: string, starting = false): UserError {
  return starting
    ? new UserError('WEBRTC_NOT_ENABLED', `WebRTC is being enabled for namespace ${namespace}`, {
        hint: 'try again in a few seconds',
        retryable: true,
      })
    : new UserError('WEBRTC_NOT_ENABLED', `WebRTC is not enabled for namespace ${namespace}`, {
        hint: `the operator turns it on with: orama namespace enable webrtc --namespace ${namespace}`,
      });
}
