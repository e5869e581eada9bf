import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueTurnCredentials, silentLogger } from '@orama/core';
import { turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { TurnService } from '@orama/turn';
import { RECORDED_ADDRESS } from './recording.ts';

const PUBLIC_IP = '127.86.1.2';
const RELAY_IP = '127.86.1.3';
const NAMESPACE = 'demo';
const SECRET = 'a-secret-for-recording-only';

/** A TURN server on the way to the recorded SFU, for browsers that gather no loopback candidates. */
export async function startRelay() {
  const dir = mkdtempSync(join(tmpdir(), 'sfu-record-'));
  const service = new TurnService(
    turnConfigSchema.parse({
      node: 'node-1',
      listen: [PUBLIC_IP],
      tls: false,
      workers: 1,
      realm: 'orama.localhost',
      controlSocket: join(dir, 'turn.sock'),
      internal: { address: RELAY_IP },
    }),
    silentLogger,
  );
  await service.start();
  await service.tenants.attach(
    turnTenantSchema.parse({
      namespace: NAMESPACE,
      secrets: [SECRET],
      relay: { address: RELAY_IP, portStart: 50_000, portEnd: 50_799 },
      peers: [{ ip: RECORDED_ADDRESS, portStart: 20_000, portEnd: 20_199 }],
      generation: 1,
    }),
  );
  const issued = { secret: SECRET, namespace: NAMESPACE, ttlSec: 600, uris: [], nowMs: Date.now() };
  const { username, password } = issueTurnCredentials(issued);
  return {
    /** For an RTCPeerConnection. */
    ice: {
      iceServers: [{ urls: `turn:${PUBLIC_IP}:3478?transport=udp`, username, credential: password }],
      iceTransportPolicy: 'relay',
    },
    async close(): Promise<void> {
      await service.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
