import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, closeServer, listen, OramaError, SecretBox, sfuSecretOf } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { type GatewayConfigInput, gatewayConfigSchema } from '@orama/protocol';
import { createStore, type Database, hashKey, openStore, type Store, TURN_SECRET_PURPOSE } from '@orama/store';
import { Gateway } from '../src/gateway.ts';
import { SfuStandIn } from './sfu-stand-in.ts';

export const BASE_DOMAIN = 'orama.test';
export const CLUSTER_KEY = 'the cluster key of the gateway tests';
const NODES = ['node-1', 'node-2', 'node-3'];
const GENERATION = 1;

/** Takes a /24 of loopback for oneself: whoever holds port 6000 of its .254 has it. */
async function takeNet(): Promise<{ net: string; lock: Server }> {
  for (;;) {
    const net = `127.84.${randomInt(250)}`;
    const lock = createServer();
    try {
      await listen(lock, { address: `${net}.254`, port: 6000 });
      return { net, lock };
    } catch (thrown) {
      if (!(thrown instanceof OramaError && (thrown.cause as NodeJS.ErrnoException).code === 'EADDRINUSE'))
        throw thrown;
    }
  }
}

/** The TURN secret of a namespace of the bed. */
export function turnSecretOf(namespace: string): string {
  return `turn secret of ${namespace}, long enough`;
}

/** The owner key of a namespace of the bed. */
export function apiKeyOf(namespace: string): string {
  return `ok_${namespace}_0123456789abcdef0123456789abcdef`;
}

/** A gateway under test with the addresses it listens on. */
export interface RunningGateway {
  gateway: Gateway;
  /** `http://127.84.x.y:6080`. */
  url: string;
  internalUrl: string;
}

/** A store with namespaces and nodes, an SFU stand-in per node for those with WebRTC, and gateways on addresses of their own. */
export class Bed {
  readonly store: Store;
  readonly #database: Database;
  readonly #dir: string;
  readonly #file: string;
  readonly #net: string;
  readonly #lock: Server;
  readonly #sfus = new Map<string, SfuStandIn[]>();
  readonly #gateways: Gateway[] = [];
  #nextHost = 10;

  private constructor(database: Database, dir: string, file: string, { net, lock }: { net: string; lock: Server }) {
    this.#database = database;
    this.store = createStore(database);
    this.#dir = dir;
    this.#file = file;
    this.#net = net;
    this.#lock = lock;
  }

  /** @param namespaces those with WebRTC enabled */
  static async open(namespaces: string[]): Promise<Bed> {
    const dir = await mkdtemp(join(tmpdir(), 'orama-gateway-'));
    const file = join(dir, 'store.db');
    const bed = new Bed(await openStore({ driver: 'sqlite', file }), dir, file, await takeNet());
    const nowMs = Date.now();
    for (const [index, id] of NODES.entries()) {
      const publicIp = `192.0.2.${index + 1}`;
      await bed.store.nodes.register({
        id,
        name: id,
        wireguardIp: `${bed.#net}.${index + 1}`,
        publicIp,
        region: 'default',
        version: '0.0.0',
        lastSeenAtMs: nowMs,
      });
      await bed.#database.batch([bed.store.nodes.setReachable({ id, beats: 0 }, true, nowMs)]);
    }
    for (const namespace of namespaces) {
      await bed.addNamespace(namespace);
      await bed.enableWebrtc(namespace);
    }
    return bed;
  }

  async addNamespace(name: string): Promise<void> {
    const nowMs = Date.now();
    await this.#database.batch([
      this.store.namespaces.insert({ id: `ns_${name}`, name, owner: 'test', createdAtMs: nowMs }),
      this.store.keys.insert({
        id: `key_${name}`,
        namespace: name,
        kind: 'owner',
        hash: hashKey(apiKeyOf(name)),
        createdAtMs: nowMs,
      }),
    ]);
  }

  async enableWebrtc(namespace: string): Promise<void> {
    const nowMs = Date.now();
    const secrets = new SecretBox(CLUSTER_KEY, TURN_SECRET_PURPOSE);
    const secret = sfuSecretOf(CLUSTER_KEY, namespace);
    const port = 30_000 + this.#sfus.size;
    const sfus = NODES.map(
      (node, index) => new SfuStandIn({ node, address: `${this.#net}.${index + 1}`, port, namespace, secret }),
    );
    this.#sfus.set(namespace, sfus);
    await Promise.all(sfus.map((sfu) => sfu.start()));
    await this.#database.batch([
      this.store.webrtc.insert({
        namespace,
        turnSharedSecret: secrets.seal(turnSecretOf(namespace), namespace),
        turnCredentialTtlSec: 600,
        sfuNodeCount: 3,
        turnNodeCount: 2,
        turn: {
          peerPolicy: 'sfu',
          maxAllocations: 800,
          maxAllocationsPerUsername: 400,
          bytesPerSec: null,
          allocationBytesPerSec: null,
        },
        enabledBy: 'test',
        enabledAtMs: nowMs,
        generation: GENERATION,
      }),
      this.store.webrtc.markEnabled(namespace, GENERATION),
      ...sfus.map((sfu, index) =>
        this.store.ports.insert({
          service: 'sfu',
          nodeId: sfu.node,
          hostIp: sfu.address,
          namespace,
          signalingPort: port,
          mediaPortStart: 20_000 + 500 * (this.#sfus.size * 3 + index),
          mediaPortEnd: 20_499 + 500 * (this.#sfus.size * 3 + index),
          allocatedAtMs: nowMs,
        }),
      ),
      ...sfus.slice(0, 2).map((sfu, index) =>
        this.store.ports.insert({
          service: 'turn',
          nodeId: sfu.node,
          hostIp: sfu.address,
          namespace,
          listenPort: 3478,
          tlsPort: 5349,
          relayPortStart: 49_152 + 800 * (this.#sfus.size * 2 + index),
          relayPortEnd: 49_951 + 800 * (this.#sfus.size * 2 + index),
          allocatedAtMs: nowMs,
        }),
      ),
    ]);
  }

  async disableWebrtc(namespace: string): Promise<void> {
    await this.#database.batch([
      this.store.webrtc.markDisabling(namespace, GENERATION, Date.now()),
      this.store.rooms.removeOf(namespace),
      this.store.ports.removeOf(namespace),
      this.store.webrtc.remove(namespace, GENERATION),
    ]);
  }

  async revokeKey(namespace: string): Promise<void> {
    await this.#database.batch([{ sql: "UPDATE keys SET state = 'revoked' WHERE namespace = ?", params: [namespace] }]);
  }

  /** The stand-ins of a namespace, in order of node. */
  sfus(namespace: string): SfuStandIn[] {
    return this.#sfus.get(namespace) ?? [];
  }

  /** The stand-in that runs on a node. */
  sfuOn(namespace: string, node: string | undefined): SfuStandIn {
    const sfu = this.sfus(namespace).find((each) => each.node === node);
    if (!sfu) throw new Error(`namespace ${namespace} has no SFU on ${node}`);
    return sfu;
  }

  /** Starts a gateway with a database connection and addresses of its own. */
  async startGateway(
    options: { config?: Partial<GatewayConfigInput>; clock?: Clock; callPageDir?: string } = {},
  ): Promise<RunningGateway> {
    const address = `${this.#net}.${this.#nextHost++}`;
    const config = gatewayConfigSchema.parse({
      node: 'node-1',
      listen: { address, port: 6080 },
      internal: { address, port: 6002 },
      baseDomain: BASE_DOMAIN,
      store: { driver: 'sqlite', file: this.#file },
      clusterKeyFile: join(this.#dir, 'cluster.key'),
      drainTimeoutMs: 2_000,
      ...options.config,
    });
    const gateway = new Gateway({
      config,
      clusterKey: CLUSTER_KEY,
      database: await openStore(config.store),
      logger: silentLogger,
      ...(options.clock ? { clock: options.clock } : {}),
      ...(options.callPageDir ? { callPageDir: options.callPageDir } : {}),
    });
    this.#gateways.push(gateway);
    await gateway.start();
    return { gateway, url: `http://${address}:6080`, internalUrl: `http://${address}:6002` };
  }

  async close(): Promise<void> {
    await Promise.all(this.#gateways.map((gateway) => gateway.stop()));
    await Promise.all([...this.#sfus.values()].flat().map((sfu) => sfu.kill()));
    await this.#database.close();
    await closeServer(this.#lock);
    await rm(this.#dir, { recursive: true, force: true });
  }
}
