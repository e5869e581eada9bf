import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { describeError, OramaError, readSecretFile } from '@orama/core';
import { type ControlplaneConfig, dnsSecretFile, type EnrolAnswer, type EnrolRequest } from '@orama/protocol';

type SecretFile = EnrolAnswer['secretFiles'][number];

/** Files with secrets that the settings of all nodes name, and so every node has to have. */
export function sharedSecretFiles({ dns }: Pick<ControlplaneConfig, 'dns'>): string[] {
  return [dnsSecretFile(dns)].filter((path) => path !== undefined).map((path) => resolve(path));
}

/** The same with what they hold. Throws PRECONDITION_FAILED for one that cannot be read here any more. */
export function readSecretFiles(config: Pick<ControlplaneConfig, 'dns' | 'node'>): SecretFile[] {
  try {
    return sharedSecretFiles(config).map((path) => ({ path, secret: readSecretFile(path) }));
  } catch (cause) {
    throw new OramaError('PRECONDITION_FAILED', `on ${config.node}: ${describeError(cause)}`, {
      cause,
      hint: `put it right on ${config.node}, then run the same command again`,
    });
  }
}

/** By what a machine that joins says which secret it has. */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/**
 * Throws CONFLICT where the machine goes by other files than the cluster, and would be taken in without one; or has another
 * secret, which is not to be written over.
 */
export function refuseOtherSecrets(request: EnrolRequest, files: readonly SecretFile[], node: string): void {
  const named = new Set(request.secretFiles.map(({ path }) => path));
  if (named.size !== files.length || files.some(({ path }) => !named.has(path))) {
    const names = files.map(({ path }) => path).join(', ') || 'none';
    throw new OramaError('CONFLICT', `the settings of ${node} name other secret files than the token (now: ${names})`, {
      hint: `where they have changed since: join with another token (orama node invite); where ${request.node} has an older release: install that of ${node}`,
    });
  }
  for (const { path, sha256 } of request.secretFiles) {
    const ours = files.find((file) => file.path === path);
    if (!ours || sha256 === null || digestOf(ours.secret) === sha256) continue;
    throw new OramaError('CONFLICT', `${path} of ${request.node} holds another secret than that of ${node}`, {
      hint: `move it away on ${request.node}, and joining brings the cluster's; or correct the one that is wrong`,
    });
  }
}
