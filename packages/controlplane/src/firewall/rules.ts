import { type ControlplaneConfig, HTTPS_PORT, localAddressOf, TURN_INTERNAL_PORT } from '@orama/protocol';
import type { Desired } from '../reconcile/desired.ts';
import { type FirewallRule, TAG_PREFIX } from './firewall.ts';

type Protocol = 'tcp' | 'udp';

const GATEWAY_INTERNAL_PORT = 6002;
const RQLITE_PORTS = { from: 4001, to: 4002 };
/** Of Caddy, which stands before a gateway that listens on loopback. */
const WEB_PORTS = [80, HTTPS_PORT];
const DNS_PORT = 53;

/** An interface of this machine, with an address that it has. */
export interface InterfaceAddress {
  interface: string;
  address: string;
}

/**
 * What a node needs whatever the store says: it is open before the store is reached, which may need it. Pure.
 * @param interfaces of this machine; without that of the nodes' network nothing is opened for it
 */
export function nodeRules(config: ControlplaneConfig, interfaces: readonly InterfaceAddress[]): FirewallRule[] {
  const { wireguard, wireguardIp, gateway, dns, store, api, ports } = config;
  const inner = interfaces.find(({ address }) => address === wireguardIp)?.interface;
  const isLoopback = gateway.listen.address.startsWith('127.') || gateway.listen.address === '::1';
  const web = isLoopback ? WEB_PORTS : gateway.listen.address === wireguardIp ? [] : [gateway.listen.port];
  const dnsPorts =
    dns.writer === 'embedded' ? new Set((dns.listen ?? [{ port: DNS_PORT }]).map(({ port }) => port)) : [];
  return [
    ...(wireguard ? [allow('WireGuard', 'udp', portOf(wireguard.endpoint))] : []),
    ...web.map((port) => allow('gateway', 'tcp', port)),
    ...[...dnsPorts].flatMap((port) => [allow('DNS', 'udp', port), allow('DNS', 'tcp', port)]),
    ...(inner === undefined
      ? []
      : [
          ...[api.port, GATEWAY_INTERNAL_PORT, TURN_INTERNAL_PORT].map((port) =>
            allow('nodes', 'tcp', port, port, inner),
          ),
          ...(store.driver === 'rqlite' ? [allow('store', 'tcp', RQLITE_PORTS.from, RQLITE_PORTS.to, inner)] : []),
          allow('SFU signalling', 'tcp', ports.sfuSignaling.start, ports.sfuSignaling.end, inner),
          allow('SFU media', 'udp', ports.sfuMedia.start, ports.sfuMedia.end, inner),
          allow('TURN relay', 'udp', ports.turnRelay.start, ports.turnRelay.end, inner),
          ...outside(config, inner, interfaces).map((name) => refusal(name, wireguardIp)),
        ]),
  ];
}

/** What the namespaces on this node need, as long as their blocks are here. Pure. */
export function namespaceRules(config: ControlplaneConfig, here: Desired): FirewallRule[] {
  const { node, turn } = config;
  const tenants = [...here.values()].flatMap(({ config: { namespace, peerPolicy }, turn: placed, leaving }) =>
    [...placed, ...leaving].flatMap((row) =>
      row.service === 'turn' && row.nodeId === node ? [{ namespace, peerPolicy, row }] : [],
    ),
  );
  if (tenants.length === 0) return [];
  return [
    allow('TURN', 'udp', turn.port),
    allow('TURN', 'tcp', turn.port),
    allow('TURN', 'tcp', turn.tlsPort),
    ...(turn.port443 ? [allow('TURN', 'tcp', HTTPS_PORT)] : []),
    ...tenants.flatMap(({ namespace, peerPolicy, row }) =>
      peerPolicy === 'public' ? [allow(`TURN relay of ${namespace}`, 'udp', row.relayPortStart, row.relayPortEnd)] : [],
    ),
  ];
}

/** What a machine that joins comes by. Pure. */
export function invitationRules(
  { invitations, wireguardIp }: ControlplaneConfig,
  interfaces: readonly InterfaceAddress[],
): FirewallRule[] {
  if (!invitations) return [];
  const { address, port } = invitations.listen;
  const inner = address === wireguardIp ? interfaces.find((each) => each.address === address)?.interface : undefined;
  return [allow('joining', 'tcp', port, port, inner)];
}

/** One rule for each port: a firewall has no two that differ in their comment alone. The first stays. */
export function distinct(rules: readonly FirewallRule[]): FirewallRule[] {
  return [
    ...new Map(rules.toReversed().map(({ tag, ...rule }) => [JSON.stringify(rule), { tag, ...rule }])).values(),
  ].reverse();
}

/** Interfaces by which clients come. The nodes' network is none of theirs, though Linux would let them in by any. */
function outside(config: ControlplaneConfig, inner: string, interfaces: readonly InterfaceAddress[]): string[] {
  const { publicIp, publicIp6 } = config;
  const own = [publicIp, ...(publicIp6 === undefined ? [] : [publicIp6])].map((each) => localAddressOf(config, each));
  const names = interfaces.flatMap((each) => (own.includes(each.address) ? [each.interface] : []));
  return [...new Set(names)].filter((name) => name !== inner);
}

function allow(purpose: string, protocol: Protocol, from: number, to = from, name?: string): FirewallRule {
  const said = `${from === to ? from : `${from}-${to}`}/${protocol}${name === undefined ? '' : ` on ${name}`}`;
  const rule = { tag: `${TAG_PREFIX}${purpose} ${said}`, action: 'allow', ports: { protocol, from, to } } as const;
  return name === undefined ? rule : { ...rule, interface: name };
}

function refusal(name: string, to: string): FirewallRule {
  return { tag: `${TAG_PREFIX}nodes only ${to} on ${name}`, action: 'deny', interface: name, to };
}

function portOf(endpoint: string): number {
  return Number(/\d+$/.exec(endpoint)?.[0]);
}
