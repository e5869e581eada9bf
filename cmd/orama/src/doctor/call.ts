import { randomBytes } from 'node:crypto';
import { OramaError } from '@orama/core';
import { GatewayClient } from '../gateway/gateway-client.ts';
import { logOf, thisPlace } from '../remedies.ts';
import type { GatewayAccess } from '../settings.ts';
import { pause } from '../wait.ts';

const JOIN_TIMEOUT_MS = 15_000;
const MEDIA_TIMEOUT_MS = 10_000;
const LOOK_MS = 20;
/** As often a server may go away in the middle. */
const ATTEMPTS = 3;
/** Half a second of sound each way. */
const PACKETS = 25;

export interface Call {
  room: string;
  /** Of each peer, from the gateway to connected media. */
  setupMs: [number, number];
  /** What each got of the other. */
  received: [number, number];
}

/**
 * Two peers of this machine hold a call in a room of their own, by way of the gateway, TURN and an SFU, until sound has come
 * both ways. Nothing is left of it. Throws OramaError saying how far they came.
 */
export async function holdCall(access: GatewayAccess, signal: AbortSignal): Promise<Call> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryCall(access, signal);
    } catch (thrown) {
      // A Caddy that is given the names of a new namespace drops its connections.
      if (attempt === ATTEMPTS || !(thrown instanceof OramaError && thrown.retryable)) throw thrown;
    }
  }
}

async function tryCall(access: GatewayAccess, signal: AbortSignal): Promise<Call> {
  // The media engine is loaded by commands that need it only.
  const { TrialPeer } = await import('@orama/sfu/trial');
  const { openMediaWay } = await import('../gateway/media-way.ts');
  const room = `orama-doctor-${randomBytes(6).toString('hex')}`;
  const late = AbortSignal.timeout(JOIN_TIMEOUT_MS);
  const base = { gateway: access.url, apiKey: access.apiKey, room, openWay: openMediaWay };
  const options = { ...base, signal: AbortSignal.any([signal, late]) };
  const joining = ['ann', 'bob'].map((name) => TrialPeer.join({ ...options, name }));
  try {
    const [ann, bob] = await Promise.all(joining).catch((thrown: unknown) => {
      signal.throwIfAborted();
      throw thrown;
    });
    if (!ann || !bob) throw new OramaError('INTERNAL', 'a call has two peers');
    ann.listenTo(bob);
    bob.listenTo(ann);
    const deadlineMs = performance.now() + MEDIA_TIMEOUT_MS;
    while (ann.received < PACKETS || bob.received < PACKETS) {
      if (performance.now() > deadlineMs) {
        throw new OramaError(
          'TIMEOUT',
          `both are connected, but of ${ann.sent} and ${bob.sent} packets ${bob.received} and ${ann.received} came to the other`,
          {
            hint: `the log of the SFU that has the room says more: ${logOf(thisPlace(), 'sfu')}`,
          },
        );
      }
      await pause(LOOK_MS, signal);
    }
    return { room, setupMs: [ann.setupMs, bob.setupMs], received: [ann.received, bob.received] };
  } finally {
    const peers = await Promise.allSettled(joining);
    await Promise.allSettled(peers.flatMap((peer) => (peer.status === 'fulfilled' ? [peer.value.close()] : [])));
    // An empty room goes by itself, but some seconds later.
    await new GatewayClient(access).deleteRoom(room).catch(() => undefined);
  }
}
