import type { NodeFacts, NodePlan } from '@orama/protocol';
import type { Facts, Namespace, PeerAttempt, TurnAttempt } from '../src/inspector/check.ts';

export const NOW_MS = Date.parse('2026-11-22T12:00:00Z');
export const DAY_MS = 86_400_000;
export const NODES = [1, 2, 3].map((number) => `node-${number}`);
export const wireguardIp = (node: string) => `10.0.0.${node.at(-1)}`;
export const publicIp = (node: string) => `203.0.113.${node.at(-1)}`;

function nodeFacts(node: string): NodeFacts {
  const hasTurn = node !== 'node-3';
  const socket = (protocol: 'udp' | 'tcp', address: string, port: number) => ({ protocol, address, port, unit: null });
  return {
    node,
    version: '1.0.0',
    receivedAtMs: NOW_MS,
    answeredAtMs: NOW_MS,
    wireguardIp: wireguardIp(node),
    publicAddresses: [publicIp(node)],
    dataDir: '/var/lib/orama',
    manager: 'systemd',
    ranges: {
      sfuSignaling: { start: 30000, end: 30099 },
      sfuMedia: { start: 20000, end: 29999 },
      turnRelay: { start: 49152, end: 65535 },
    },
    sockets: [
      socket('tcp', '0.0.0.0', 6080),
      socket('tcp', wireguardIp(node), 30000),
      socket('udp', wireguardIp(node), 20000),
      ...(hasTurn
        ? [
            socket('udp', publicIp(node), 3478),
            socket('tcp', publicIp(node), 3478),
            socket('tcp', publicIp(node), 5349),
            socket('udp', wireguardIp(node), 49200),
          ]
        : []),
    ],
    listeners: [
      { protocol: 'tcp', address: '0.0.0.0', port: 6080 },
      { protocol: 'udp', address: publicIp(node), port: 3478 },
      { protocol: 'tcp', address: publicIp(node), port: 3478 },
      { protocol: 'tcp', address: publicIp(node), port: 5349 },
    ],
    units: ['orama-gateway', 'orama-turn', 'orama-namespace-sfu@myapp'],
    unitFolders: ['orama-namespace-sfu@myapp'],
    namespaceFolders: ['myapp'],
    sfus: [{ namespace: 'myapp', healthy: true, reason: null, version: '1.0.0' }],
    gateway: { healthy: true, reason: null, version: '1.0.0' },
    store: { reason: null },
    turn: {
      running: true,
      version: '1.0.0',
      reason: null,
      held: false,
      draining: false,
      port: 3478,
      tlsPort: 5349,
      tenants: hasTurn ? ['myapp'] : [],
      certificates: [],
    },
    secretFiles: [{ path: '/etc/orama/cluster.key', mode: 0o600, isForeign: false }],
    dns: { writer: 'embedded', reason: null, servers: [{ address: publicIp(node), port: 53 }], zoneFile: null },
  };
}

const shown = (name: string) => ({
  subject: `CN=${name}`,
  issuer: 'CN=R11',
  validTo: new Date(NOW_MS + 60 * DAY_MS).toISOString(),
  distrust: null,
});

/** A cluster of three nodes on which everything is well. */
export function wellFacts() {
  const namespace: Namespace = { name: 'myapp', webrtc: 'enabled', sfuNodeCount: 3, turnNodeCount: 2 };
  const turn = NODES.slice(0, 2).flatMap((node) =>
    (['udp', 'tcp', 'tls'] as const).map(
      (transport): TurnAttempt => ({
        namespace: 'myapp',
        node,
        transport,
        server: `${publicIp(node)}:${transport === 'tls' ? 5349 : 3478}`,
        failure: null,
        certificate: transport === 'tls' ? shown('turn.ns-myapp.example.com') : null,
      }),
    ),
  );
  const peers = NODES.slice(0, 2).map(
    (node): PeerAttempt => ({ namespace: 'myapp', node, peer: '10.255.255.254', code: 403, failure: null }),
  );
  const nodes = new Map(NODES.map((node) => [node, nodeFacts(node)]));
  return {
    cluster: {
      baseDomain: 'example.com',
      operatorHost: 'api.example.com' as string | null,
      turnNames: true,
      gatewayCertificates: true,
      turnPort443: false as boolean,
      nodes: NODES.map((id) => ({
        id,
        state: 'active' as const,
        wireguardIp: wireguardIp(id),
        publicIp: publicIp(id),
        publicIp6: null,
      })),
      namespaces: [namespace],
      blocks: [
        ...NODES.map((node) => ({
          service: 'sfu' as const,
          node,
          namespace: 'myapp',
          address: wireguardIp(node),
          leaving: false,
          signalingPort: 30000,
          media: { start: 20000, end: 20499 },
        })),
        ...NODES.slice(0, 2).map((node) => ({
          service: 'turn' as const,
          node,
          namespace: 'myapp',
          address: wireguardIp(node),
          leaving: false,
          port: 3478,
          tlsPort: 5349,
          relay: { start: 49152, end: 49951 },
        })),
      ],
      records: NODES.slice(0, 2).map((node) => ({
        fqdn: 'turn.ns-myapp.example.com',
        value: publicIp(node),
        namespace: 'myapp',
      })),
    },
    enabled: [namespace],
    nodes,
    plans: NODES.map((node): NodePlan => ({ node, tasks: [{ task: 'firewall', actions: [] }] })),
    clocks: new Map(NODES.map((node) => [node, { aheadMs: 3, uncertainMs: 1 }])),
    turn,
    peers,
    gateways: NODES.map((node) => ({
      ...{
        namespace: 'myapp' as string | null,
        node,
        server: `${publicIp(node)}:443`,
        failure: null as { message: string } | null,
      },
      certificate: { ...shown('ns-myapp.example.com') } as TurnAttempt['certificate'],
    })),
    dns: NODES.map((node) => ({
      server: `${publicIp(node)}:53`,
      names: new Map<string, string[]>([
        ['turn.ns-myapp.example.com', NODES.slice(0, 2).map(publicIp)],
        ['ns-myapp.example.com', NODES.map(publicIp)],
        ['api.example.com', NODES.map(publicIp)],
      ]),
      failure: null as string | null,
    })),
    version: '1.0.0',
    nowMs: NOW_MS,
  } satisfies Facts;
}

export type Well = ReturnType<typeof wellFacts>;
export const node = (facts: Well, number: number) => facts.nodes.get(`node-${number}`) as NodeFacts;
export const tls = (facts: Well) => facts.turn[2] as TurnAttempt;
