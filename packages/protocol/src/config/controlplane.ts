import { z } from 'zod';
import { baseDomainSchema, ipSchema, ipv6Schema, nodeIdSchema, portSchema, relayPortSchema } from '../names.ts';
import { certificatesConfigSchema } from './certificates.ts';
import {
  cidrSchema,
  logLevelSchema,
  nonceLifetimeSecSchema,
  TURN_INTERNAL_PORT,
  timerMsSchema,
  unauthenticatedRateSchema,
} from './common.ts';
import { dnsConfigSchema, isNameIn } from './dns.ts';
import { firewallConfigSchema } from './firewall.ts';
import { operatorSourcesSchema } from './gateway.ts';
import { storeConfigSchema } from './store.ts';
import { invitationsConfigSchema, wireguardConfigSchema } from './wireguard.ts';

const portRange = (start: z.ZodInt) =>
  z
    .strictObject({ start, end: portSchema })
    .refine((range) => range.end >= range.start, { error: 'end must not be below start', path: ['end'] });
const portRangeSchema = portRange(portSchema);

/** Core services that a controlplane runs itself. */
const OWN_SERVICES = ['gateway', 'turn'] as const;
/** What the unit files of `systemd/` have in them. */
const PATHS_OF_UNITS = { dataDir: '/var/lib/orama', clusterKeyFile: '/etc/orama/cluster.key' };
export const HTTPS_PORT = 443;
const programSchema = z.array(z.string().min(1)).min(1);

/** Where a node stands of which nothing is said. */
export const DEFAULT_REGION = 'default';

/** Configuration file of a node's controlplane. */
export const controlplaneConfigSchema = z
  .strictObject({
    clusterId: z.string().min(1),
    node: nodeIdSchema,
    wireguardIp: ipSchema,
    publicIp: ipSchema,
    /** Second public address of the node, for clients that ask TURN for an IPv6 relay address. */
    publicIp6: ipv6Schema.optional(),
    wireguardNetwork: cidrSchema,
    /** Absent where the operator keeps the peers, or the network is no WireGuard at all. */
    wireguard: wireguardConfigSchema.optional(),
    /** Absent where no machine is to join by this node. */
    invitations: invitationsConfigSchema.optional(),
    region: z.string().default(DEFAULT_REGION),
    baseDomain: baseDomainSchema,
    /** The node's own data: namespaces/, run/, logs/, configs/. */
    dataDir: z.string().min(1),
    clusterKeyFile: z.string().min(1),
    store: storeConfigSchema,
    api: z.strictObject({ port: portSchema.default(6001), loopback: z.boolean().default(true) }),
    /**
     * Services the node needs before any of a namespace, in the order in which they are waited for: gateway and turn are
     * kept running, rqlite is looked at. All that the node can have unless given.
     */
    coreServices: z.array(z.enum(['rqlite', 'gateway', 'turn'])).optional(),
    services: z.discriminatedUnion('manager', [
      z.strictObject({
        manager: z.literal('processes'),
        /** Command line of each program; `--config <file>` is appended. */
        programs: z.strictObject({ gateway: programSchema, turn: programSchema, sfu: programSchema }),
      }),
      /** The units of `systemd/`, which name their programs and files themselves. */
      z.strictObject({ manager: z.literal('systemd') }),
    ]),
    gateway: z.strictObject({
      listen: z.strictObject({ address: ipSchema, port: portSchema }),
      callPage: z.boolean().default(false),
      /** Reverse proxies of the operator whose X-Forwarded-For is believed; a Caddy of this node with our names is anyway. */
      trustedProxies: z.array(ipSchema).default([]),
      /** Operators with a token may come through the gateway, as `orama --env` does; not unless it is given. */
      operatorApi: z.strictObject({ allowFrom: operatorSourcesSchema.optional() }).optional(),
    }),
    turn: z
      .strictObject({
        port: portSchema.default(3478),
        tlsPort: portSchema.default(5349),
        /** TURN over TLS on port 443 as well, for clients that are let out to nothing else; what is not its own is HTTPS. */
        port443: z.boolean().default(false),
        /** The HTTPS server that gets the rest of port 443, with the PROXY protocol: Caddy. */
        httpsServer: z
          .strictObject({ address: ipSchema.default('127.0.0.1'), port: portSchema.default(8443) })
          .prefault({}),
        /** PEM files of the certificate for TURN names that none was handed over for; read again when they change. */
        certFile: z.string().min(1).optional(),
        keyFile: z.string().min(1).optional(),
        /** Threads that share the ports; `auto` takes one for each processor. */
        workers: z.union([z.literal('auto'), z.int().min(1).max(64)]).default('auto'),
        /** Public address by local address, where the node sits behind 1:1 NAT; TURN listens on the local ones. */
        external: z.record(ipSchema, ipSchema).default({}),
        maxTcpConnections: z.int().positive().default(10_000),
        maxTcpConnectionsPerSource: z.int().positive().default(100),
        /** Allocations that one source address may have in each namespace. */
        maxAllocationsPerSource: z.int().positive().default(200),
        /** Unauthenticated requests one source address may send. */
        unauthenticatedRate: unauthenticatedRateSchema,
        /** How long a TURN server that stops waits for its allocations to end. */
        drainTimeoutMs: timerMsSchema.default(10_000),
        advertise: z.enum(['names', 'addresses']).default('names'),
        /** Of allocations; at most the longest that a client may ask for. */
        defaultLifetimeSec: z.int().positive().max(3_600).default(600),
        nonceLifetimeSec: nonceLifetimeSecSchema,
      })
      .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
        error: 'certFile and keyFile go together',
      })
      .refine(({ port, tlsPort }) => port !== tlsPort, {
        error: 'TLS needs a port of its own: not that of `port`',
        path: ['tlsPort'],
      })
      .refine(({ port, tlsPort, port443 }) => !port443 || (port !== HTTPS_PORT && tlsPort !== HTTPS_PORT), {
        error: 'is one of the other two ports already: give `port` and `tlsPort` other numbers',
        path: ['port443'],
      })
      .prefault({}),
    ports: z
      .strictObject({
        sfuSignaling: portRangeSchema.default({ start: 30000, end: 30099 }),
        sfuMedia: portRangeSchema.default({ start: 20000, end: 29999 }),
        sfuMediaBlock: z.int().positive().default(500),
        turnRelay: portRange(relayPortSchema).default({ start: 49152, end: 65535 }),
        turnRelayBlock: z.int().positive().default(800),
      })
      .prefault({}),
    dns: dnsConfigSchema,
    firewall: firewallConfigSchema,
    certificates: certificatesConfigSchema,
    reconcileIntervalMs: z.int().positive().max(10_000).default(2_000),
    /** Directory of one-shot crash points for tests (see core/failpoints); none when absent. */
    failpointDir: z.string().optional(),
    logLevel: logLevelSchema,
  })
  .refine(({ store, coreServices }) => store.driver === 'rqlite' || !coreServices?.includes('rqlite'), {
    error: 'names rqlite, which is not the store: leave it out, or set store.driver',
    path: ['coreServices'],
  })
  .superRefine((config, context) => {
    if (config.services.manager !== 'systemd') return;
    for (const [field, value] of Object.entries(PATHS_OF_UNITS)) {
      if (config[field as keyof typeof PATHS_OF_UNITS] === value) continue;
      context.addIssue({ code: 'custom', path: [field], message: `must be ${value}, where the units of systemd look` });
    }
  })
  .superRefine(({ dns, baseDomain }, context) => {
    if (
      (dns.writer === 'powerdns' || dns.writer === 'rfc2136') &&
      dns.zone !== undefined &&
      !isNameIn(baseDomain, dns.zone)
    ) {
      context.addIssue({
        code: 'custom',
        path: ['dns', 'zone'],
        message: `does not hold the base domain: ${baseDomain} is not in ${dns.zone}`,
      });
    }
    if (dns.writer !== 'embedded') return;
    for (const [index, { name, addresses }] of (dns.nameservers ?? []).entries()) {
      if (addresses.length > 0 || !isNameIn(name, baseDomain)) continue;
      context.addIssue({
        code: 'custom',
        path: ['dns', 'nameservers', index, 'addresses'],
        message: `${name} lies in ${baseDomain}, which nobody else answers for; give its addresses`,
      });
    }
  })
  .refine(
    ({ turn, gateway: { listen } }) => !turn.port443 || listen.port !== HTTPS_PORT || isLoopback(listen.address),
    {
      error: 'is where TURN listens (turn.port443): have the gateway listen on 127.0.0.1, behind Caddy',
      path: ['gateway', 'listen', 'port'],
    },
  )
  .superRefine(({ turn, ports: { turnRelay } }, context) => {
    const own = { 'turn.port': turn.port, 'turn.tlsPort': turn.tlsPort, 'its internal port': TURN_INTERNAL_PORT };
    for (const [name, port] of Object.entries(own)) {
      if (port < turnRelay.start || port > turnRelay.end) continue;
      context.addIssue({
        code: 'custom',
        path: ['ports', 'turnRelay'],
        message: `holds ${port}, where the TURN server itself listens (${name}); give one of them other ports`,
      });
    }
  })
  .superRefine(({ ports: { sfuMedia, turnRelay } }, context) => {
    // Both are bound on the WireGuard address, by different processes.
    if (sfuMedia.start > turnRelay.end || turnRelay.start > sfuMedia.end) return;
    const said = `${turnRelay.start}-${turnRelay.end}`;
    context.addIssue({
      code: 'custom',
      path: ['ports', 'sfuMedia'],
      message: `overlaps turnRelay (${said}): a port would be given to an SFU and to TURN; give one of them other ports`,
    });
  })
  .transform((config) => ({
    ...config,
    coreServices: config.coreServices ?? [
      ...(config.store.driver === 'rqlite' ? ['rqlite' as const] : []),
      ...OWN_SERVICES,
    ],
  }));
export type ControlplaneConfig = z.infer<typeof controlplaneConfigSchema>;
export type ControlplaneConfigInput = z.input<typeof controlplaneConfigSchema>;

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** The address of this node on which packets to a public one arrive: itself, or the local one behind 1:1 NAT. */
export function localAddressOf(config: Pick<ControlplaneConfig, 'turn'>, publicAddress: string): string {
  const mapped = Object.entries(config.turn.external).find(([, external]) => external === publicAddress);
  return mapped?.[0] ?? publicAddress;
}
