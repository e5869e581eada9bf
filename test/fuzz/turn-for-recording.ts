import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueTurnCredentials } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { TurnService } from '@orama/turn';

const NAMESPACE = 'demo';
const SECRET = 'a-secret-for-recording-only';
export const TURN_PORT = 3478;

/** Addresses of a server, and the ports that it may send to. */
export interface RecordingTurn {
  publicIp: string;
  relayIp: string;
  peer: { ip: string; portStart: number; portEnd: number };
  allowPublicPeers?: boolean;
}

/** A TURN server with one tenant, for what is recorded of clients. @returns ends it */
export async function startTurn({ publicIp, relayIp, peer, allowPublicPeers = false }: RecordingTurn) {
  const dir = mkdtempSync(join(tmpdir(), 'turn-record-'));
  const service = new TurnService(
    turnConfigSchema.parse({
      node: 'node-1',
      listen: [publicIp],
      port: TURN_PORT,
      tls: false,
      workers: 1,
      realm: 'orama.localhost',
      controlSocket: join(dir, 'turn.sock'),
      internal: { address: relayIp },
    }),
    silentLogger,
  );
  await service.start();
  await service.tenants.attach(
    turnTenantSchema.parse({
      namespace: NAMESPACE,
      secrets: [SECRET],
      relay: { address: relayIp, portStart: 50_000, portEnd: 50_799 },
      peers: [peer],
      allowPublicPeers,
      generation: 1,
    }),
  );
  return async (): Promise<void> => {
    await service.close();
    rmSync(dir, { recursive: true, force: true });
  };
}

/** Credentials for it. */
export function recordingCredentials() {
  return issueTurnCredentials({ secret: SECRET, namespace: NAMESPACE, ttlSec: 600, uris: [], nowMs: Date.now() });
}
