import { randomBytes } from 'node:crypto';
import { newId, OramaError } from '@orama/core';
import { type createdNamespaceSchema, type createNamespaceSchema, namespaceHost } from '@orama/protocol';
import { auditStatement, hashKey, StoreConflictError } from '@orama/store';
import type { z } from 'zod';
import { toNamespace } from '../api/views.ts';
import { type OperationContext, requireNamespace } from './context.ts';

/** Prefix of an owner's API key. */
const OWNER_KEY_PREFIX = 'orama_';

/** Makes a namespace with its owner's API key, which is shown here and never again. Throws NAMESPACE_EXISTS. */
export async function createNamespace(
  { store, clock, config }: OperationContext,
  request: z.output<typeof createNamespaceSchema>,
  actor = 'operator',
): Promise<z.infer<typeof createdNamespaceSchema>> {
  const { name, owner } = request;
  const nowMs = clock.now();
  const apiKey = OWNER_KEY_PREFIX + randomBytes(32).toString('base64url');
  try {
    await store.db.batch([
      store.namespaces.insert({ id: newId('ns'), name, owner, createdAtMs: nowMs }),
      store.keys.insert({
        id: newId('key'),
        namespace: name,
        kind: 'owner',
        hash: hashKey(apiKey),
        createdAtMs: nowMs,
      }),
      auditStatement({ atMs: nowMs, actor, action: 'create-namespace', namespace: name, result: 'done' }),
    ]);
  } catch (thrown) {
    if (!(thrown instanceof StoreConflictError)) throw thrown;
    throw new OramaError('NAMESPACE_EXISTS', `namespace "${name}" exists already; nothing was changed`, {
      cause: thrown,
      hint: 'choose another name, or delete it first',
    });
  }
  return {
    namespace: toNamespace(await requireNamespace(store, name), null),
    apiKey,
    url: gatewayUrl(config, name),
  };
}

/** Where browsers reach the namespace: the public name, or this node's own listener where names end in `localhost`. */
function gatewayUrl(config: OperationContext['config'], name: string): string {
  const host = namespaceHost(name, config.baseDomain);
  return /(^|\.)localhost$/.test(config.baseDomain)
    ? `http://${host}:${config.gateway.listen.port}`
    : `https://${host}`;
}

/** Deletes a namespace with its keys and its usage. Throws NAMESPACE_NOT_FOUND, or NAMESPACE_HAS_WEBRTC while anything of WebRTC is left. */
export async function deleteNamespace(
  { store, clock }: OperationContext,
  name: string,
  actor = 'operator',
): Promise<void> {
  await requireNamespace(store, name);
  const nowMs = clock.now();
  try {
    await store.db.batch([
      ...store.namespaces.remove(name),
      auditStatement({ atMs: nowMs, actor, action: 'delete-namespace', namespace: name, result: 'done' }),
    ]);
  } catch (thrown) {
    if (!(thrown instanceof StoreConflictError)) throw thrown;
    throw new OramaError('NAMESPACE_HAS_WEBRTC', `namespace "${name}" still has WebRTC; nothing was changed`, {
      cause: thrown,
      hint: `orama namespace disable webrtc --namespace ${name}`,
    });
  }
}
