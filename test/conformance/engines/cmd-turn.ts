import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { issueTurnCredentials } from '@orama/core';
import type { TurnConfigInput, TurnTenantInput } from '@orama/protocol';
import type { Engine, Feature, Server, Size } from '../rule.ts';
import { EngineProcess, makePlace, type Place, REALM, SECRET, TTL_SEC } from './process.ts';

const MAIN = join(import.meta.dirname, '../../../cmd/turn/src/main.ts');
const NAMESPACE = 'demo';

/** Our server: two workers, both families, TLS with a certificate it makes itself. */
export const orama: Engine = {
  name: 'Orama',
  offers: new Set<Feature>(['tcp', 'tls', 'ipv6', 'sha256', 'limits']),
  start: (size) =>
    start('orama', size, (place) => ({
      config: { listen: [place.listen, '::1'], tls: { port: place.tlsPort }, workers: 2 },
      relay: { address6: '::1' },
    })),
};

/** node-turn, mended, as cmd/turn runs it for development. */
export const nodeTurn: Engine = {
  name: 'node-turn',
  offers: new Set<Feature>(),
  start: (size) =>
    start('node-turn', size, (place) => ({
      config: { engine: 'node-turn', listen: [place.listen], tls: false },
      relay: {},
    })),
};

type Differences = (place: Place) => { config: Partial<TurnConfigInput>; relay: { address6?: string } };

/** Runs the real program and attaches one tenant over its control socket. */
async function start(name: string, size: Size, differences: Differences): Promise<Server> {
  const place = await makePlace(name, size);
  const { config, relay } = differences(place);
  const path = join(place.dir, 'turn.json');
  const controlSocket = join(place.dir, 'turn.sock');
  const whole: TurnConfigInput = {
    node: 'node-1',
    listen: [place.listen],
    port: place.port,
    realm: REALM,
    controlSocket,
    internal: { address: place.relay },
    unauthenticatedRate: { burst: 100_000, perSec: 100_000 },
    ...config,
  };
  writeFileSync(path, JSON.stringify(whole));
  const { peer, otherPeer } = place.addresses;
  const tenant: TurnTenantInput = {
    namespace: NAMESPACE,
    secrets: [SECRET],
    relay: { address: place.relay, portStart: place.relayPorts.first, portEnd: place.relayPorts.last, ...relay },
    peers: [peer, otherPeer, '::1'].map((ip) => ({ ip, portStart: 1024, portEnd: 65_535 })),
    maxAllocationsPerUsername: size === 'tight' ? 2 : 800,
    generation: 1,
  };
  const args = ['--conditions=source', MAIN, '--config', path];
  const running = await EngineProcess.start(place, process.execPath, args, async (started) => {
    await started.said('"started"');
    await attach(controlSocket, tenant);
  });
  const nowMs = Date.now();
  return {
    ...place,
    address: place.listen,
    // A username is a second and a namespace: another second is another user.
    credentials: (user = 0, ttlSec = TTL_SEC) =>
      issueTurnCredentials({ secret: SECRET, namespace: NAMESPACE, ttlSec: ttlSec + user, uris: [], nowMs }),
    stop: () => running.stop(),
  };
}

async function attach(socketPath: string, tenant: TurnTenantInput): Promise<void> {
  const asked = request({ socketPath, method: 'PUT', path: `/tenants/${tenant.namespace}` });
  asked.end(JSON.stringify(tenant));
  const [response] = await once(asked, 'response');
  const body = await readText(response);
  if (response.statusCode !== 200) throw new Error(`the tenant was not attached: ${body}`);
}
