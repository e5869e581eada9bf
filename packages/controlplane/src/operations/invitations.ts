import { hostPort, newId, OramaError, privateRangeOf } from '@orama/core';
import type { EnrolRequest, Invitation, InvitationView, Invite, WireguardPeer } from '@orama/protocol';
import { auditStatement, guard, type InvitationRow, type NodeRow, raiseChangeCounter } from '@orama/store';
import { contains, freeAddress } from '../enrolment/address.ts';
import { formatJoinToken, invitationSecret } from '../enrolment/join-token.ts';
import { sharedSecretFiles } from '../enrolment/secret-files.ts';
import { wantedPeers } from '../wireguard/plan-peers.ts';
import { type OperationContext, retryOnConflict } from './context.ts';

/** Opens the cluster for one machine. Throws CONFLICT where another one cannot take part. */
export async function invite(
  { config, store, clock }: OperationContext,
  clusterKey: string,
  { ttlSec, requestedBy }: Invite,
): Promise<Invitation> {
  const { invitations, clusterId } = config;
  if (config.store.driver === 'sqlite') {
    throw new OramaError(
      'CONFLICT',
      `the store of this cluster is a file of ${config.node}, which no other machine can share`,
      {
        hint: 'a cluster of several machines is made with "orama node init --store rqlite"',
      },
    );
  }
  if (!invitations) {
    throw new OramaError('CONFLICT', `${config.node} is not configured to take machines in`, {
      hint: 'give "invitations" in its /etc/orama/controlplane.yaml, as "orama node init" does, or ask another node',
    });
  }
  const id = newId('inv');
  const nowMs = clock.now();
  const expiresAtMs = nowMs + ttlSec * 1000;
  await store.db.batch([
    store.invitations.removeExpired(nowMs),
    store.invitations.insert({ id, answeredBy: config.node, createdBy: requestedBy, expiresAtMs }),
    auditStatement({ atMs: nowMs, actor: requestedBy, action: 'invite-node', namespace: null, result: id }),
    raiseChangeCounter,
  ]);
  const { endpoint } = invitations;
  const secret = invitationSecret(clusterKey, id).toString('base64url');
  return {
    id,
    token: formatJoinToken({
      ...{ clusterId, id, endpoint, secret, expiresAtMs },
      ...{ wireguardNetwork: config.wireguardNetwork, keepsPeers: config.wireguard !== undefined },
      secretFiles: sharedSecretFiles(config),
    }),
    endpoint,
    expiresAt: new Date(expiresAtMs).toISOString(),
  };
}

/** Those that are not over, without what opens them. */
export async function listInvitations({ store, clock }: OperationContext): Promise<InvitationView[]> {
  const rows = await store.invitations.list();
  return rows
    .filter(({ expiresAtMs }) => expiresAtMs > clock.now())
    .map(({ id, answeredBy, createdBy, expiresAtMs, nodeId }) => {
      return { id, answeredBy, createdBy, expiresAt: new Date(expiresAtMs).toISOString(), takenBy: nodeId };
    });
}

/** Ends an invitation: whoever comes with it is refused. A machine that it took in stays. Throws NOT_FOUND. */
export async function revokeInvitation(
  { store, clock }: OperationContext,
  id: string,
  requestedBy: string,
): Promise<void> {
  const entry = { actor: requestedBy, action: 'revoke-invitation', namespace: null, result: id };
  const [removed] = await store.db.batch([
    store.invitations.remove(id),
    auditStatement({ ...entry, atMs: clock.now() }),
    raiseChangeCounter,
  ]);
  if (removed?.changes !== 0) return;
  throw new OramaError('NOT_FOUND', `there is no invitation "${id}"`, { hint: 'orama node invite --list shows all' });
}

/** A machine that was taken in. */
export interface Enrolled {
  wireguardIp: string;
  publicIp: string;
  peers: WireguardPeer[];
  /** Addresses of the nodes that are part of the cluster. */
  members: string[];
}

/**
 * Takes the machine in that came with an invitation. The same machine may ask again, for as long as the invitation is
 * good: it is told the same. Throws UNAUTHORIZED, CONFLICT for what another node has, and INVALID_REQUEST without a public
 * address.
 * @param from the address that it comes from
 */
export function enrol(
  context: OperationContext,
  invitationId: string,
  request: EnrolRequest,
  from: string,
): Promise<Enrolled> {
  return retryOnConflict(`taking in ${request.node}`, () => attemptEnrol(context, invitationId, request, from));
}

/** One that clients cannot send to, or that another node has: where the machine did not say it, it was seen so on the way here. */
function refuseAddress(publicIp: string, nodes: readonly NodeRow[], { node: id, publicIp: given }: EnrolRequest): void {
  const hint = 'give its own: orama node join --public-ip <address>';
  const range = privateRangeOf(publicIp);
  if (given === null && range !== null) {
    throw new OramaError('INVALID_REQUEST', `${id} was seen at ${publicIp}, a ${range} address, and has no other`, {
      hint,
    });
  }
  const other = nodes.find((node) => node.id !== id && node.state !== 'gone' && node.publicIp === publicIp);
  if (other) throw new OramaError('CONFLICT', `${publicIp} is the public address of ${other.id}`, { hint });
}

async function attemptEnrol(
  { config, store, clock }: OperationContext,
  invitationId: string,
  request: EnrolRequest,
  from: string,
): Promise<Enrolled> {
  const { node: id, network } = request;
  const nowMs = clock.now();
  const takenBy = network.kind === 'wireguard' ? network.publicKey : network.address;
  const invitation = (await store.invitations.list()).find((row) => row.id === invitationId);
  requireOpen(invitation, id, takenBy, nowMs);
  if ((network.kind === 'wireguard') !== (config.wireguard !== undefined)) {
    throw new OramaError('CONFLICT', `the network ${config.wireguardNetwork} is not kept as ${id} would have it`, {
      hint: config.wireguard
        ? 'join without --wireguard-interface: the interface is made for this cluster, and its nodes are its peers'
        : 'bring the interface of that network up first: its peers are kept by whoever made it',
    });
  }
  const nodes = await store.nodes.list();
  const before = nodes.find((node) => node.id === id);
  if (before && before.state !== 'gone' && !isSame(before, request)) {
    throw new OramaError('CONFLICT', `there is a node ${id} already, on another machine`, {
      hint: `take another name with --name, or take that node out first (orama node remove ${id})`,
    });
  }
  refuseOtherName(nodes, request);
  const wireguardIp = addressOf(config.wireguardNetwork, nodes, request);
  const publicIp = request.publicIp ?? from;
  refuseAddress(publicIp, nodes, request);
  const wireguard =
    network.kind === 'wireguard'
      ? { publicKey: network.publicKey, endpoint: hostPort(publicIp, network.port) }
      : undefined;
  await store.db.batch([
    ...store.invitations.take(invitationId, id, takenBy),
    ...guard('the address is free', 'NOT EXISTS (SELECT 1 FROM nodes WHERE wireguard_ip = ? AND id <> ?)', [
      wireguardIp,
      id,
    ]),
    ...guard(
      'the public address is free',
      "NOT EXISTS (SELECT 1 FROM nodes WHERE public_ip = ? AND id <> ? AND state <> 'gone')",
      [publicIp, id],
    ),
    // Another machine may take the name at this moment.
    ...guard(
      'the name is free',
      `NOT EXISTS (SELECT 1 FROM nodes WHERE id = ? AND state <> 'gone' AND (wireguard_public_key IS NOT ? OR wireguard_ip <> ?))`,
      [id, wireguard?.publicKey ?? null, wireguardIp],
    ),
    ...(wireguard ? [store.nodes.releaseWireguardKey(wireguard.publicKey, id)] : []),
    store.nodes.enrol({
      ...{ id, name: id, wireguardIp, publicIp, region: request.region, lastSeenAtMs: nowMs },
      // Told by its controlplane when it starts.
      version: '',
      publicIp6: request.publicIp6 ?? undefined,
      wireguard,
    }),
    auditStatement({ atMs: nowMs, actor: invitationId, action: 'enrol-node', namespace: null, result: id }),
    raiseChangeCounter,
  ]);
  return {
    wireguardIp,
    publicIp,
    peers: wantedPeers(nodes, id),
    members: nodes.flatMap((node) => (node.state === 'gone' || node.id === id ? [] : [node.wireguardIp])),
  };
}

/**
 * Ids of the invitations that somebody may still come to this node with: not those that are over, nor those whose machine is
 * a node by now and needs to ask no more. Pure.
 */
export function openInvitations(
  node: string,
  rows: readonly InvitationRow[],
  nodes: readonly Pick<NodeRow, 'id' | 'reachable'>[],
  nowMs: number,
): string[] {
  const arrived = new Set(nodes.flatMap(({ id, reachable }) => (reachable ? [id] : [])));
  return rows.flatMap(({ id, answeredBy, expiresAtMs, nodeId }) =>
    isAnsweredBy(node, answeredBy) && expiresAtMs > nowMs && (nodeId === null || !arrived.has(nodeId)) ? [id] : [],
  );
}

/** One from before that was written down is every node's. */
function isAnsweredBy(node: string, answeredBy: string): boolean {
  return answeredBy === node || answeredBy === '';
}

function requireOpen(row: InvitationRow | undefined, id: string, takenBy: string, nowMs: number): void {
  const hint = 'print another one on a node of the cluster: orama node invite';
  if (!row || row.expiresAtMs <= nowMs) throw new OramaError('UNAUTHORIZED', 'the invitation is over', { hint });
  if (row.takenBy === null || (row.takenBy === takenBy && row.nodeId === id)) return;
  throw new OramaError('UNAUTHORIZED', `the invitation was taken by ${row.nodeId} already`, { hint });
}

function isSame(node: NodeRow, { network }: EnrolRequest): boolean {
  return network.kind === 'wireguard'
    ? node.wireguard?.publicKey === network.publicKey
    : node.wireguard === null && node.wireguardIp === network.address;
}

/** Two nodes with one key would be one peer of WireGuard. */
function refuseOtherName(nodes: readonly NodeRow[], { node: id, network }: EnrolRequest): void {
  if (network.kind !== 'wireguard') return;
  const other = nodes.find(
    (node) => node.id !== id && node.state !== 'gone' && node.wireguard?.publicKey === network.publicKey,
  );
  if (!other) return;
  throw new OramaError('CONFLICT', `this machine is ${other.id} already, by its WireGuard key`, {
    hint: `join with that name (--name ${other.id}), or take it out first (orama node remove ${other.id} --force); a copy of that machine is made one of its own by "orama node leave"`,
  });
}

/** The address that the machine has or gets. One that comes back keeps its own. */
function addressOf(wireguardNetwork: string, nodes: readonly NodeRow[], { node: id, network }: EnrolRequest): string {
  const others = nodes.filter((node) => node.id !== id);
  if (network.kind === 'wireguard') {
    const before = nodes.find((node) => node.id === id);
    if (before) return before.wireguardIp;
    return freeAddress(wireguardNetwork, new Set(others.map(({ wireguardIp }) => wireguardIp)));
  }
  if (!contains(wireguardNetwork, network.address)) {
    throw new OramaError('CONFLICT', `${network.address} is not in the cluster's network ${wireguardNetwork}`, {
      hint: 'join with the interface that has an address there: --wireguard-interface <name>',
    });
  }
  const other = others.find(({ wireguardIp }) => wireguardIp === network.address);
  if (!other) return network.address;
  throw new OramaError('CONFLICT', `${other.id} has the address ${network.address} already`, {
    hint: 'give each machine an address of its own in that network',
  });
}
