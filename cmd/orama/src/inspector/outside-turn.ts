import type { ControlplaneClient } from '@orama/controlplane/client';
import type { Namespace, PeerAttempt, TurnAttempt } from '@orama/controlplane/inspector';
import { describeError, hostPort, OramaError, toOramaError } from '@orama/core';
import { type ClusterFacts, HTTPS_PORT, type TurnCredentials, turnDomain } from '@orama/protocol';
import { TurnClient, TurnError } from '@orama/turn/client';
import type { AddressFamily } from '@orama/turn/stun';
import { checkTurn } from '../turn-check/check-turn.ts';
import { CheckFailure } from '../turn-check/failure.ts';
import type { CheckResult } from '../turn-check/result.ts';
import { addressesOf, hasRoute, someAtOnce } from './outside.ts';

interface Target {
  client: ControlplaneClient;
  cluster: ClusterFacts;
  enabled: readonly Namespace[];
  signal: AbortSignal;
  /** How long a server is waited for. */
  timeoutMs?: number;
}

type TurnBlock = Extract<ClusterFacts['blocks'][number], { service: 'turn' }>;

const TIMEOUT_MS = 5_000;
const PACKETS = 3;

/** Addresses that no client has any business with, one of each kind: the last of IPv6 lead to IPv4 elsewhere. */
const PRIVATE_PEERS: Record<AddressFamily, readonly string[]> = {
  4: ['127.0.0.1', '10.255.255.254', '172.31.255.254', '192.168.255.254', '169.254.169.254', '100.64.0.1'],
  6: ['::1', 'fdff:ffff:ffff::fffe', 'fe80::fffe', '::ffff:10.255.255.254', '64:ff9b::10.255.255.254'],
};
const FAMILIES: readonly AddressFamily[] = [4, 6];
const FAMILY_NOT_SUPPORTED = 440;

/** Goes a client's way with each TURN server of each namespace, from this machine, over each transport. */
export async function tryTurn({ cluster, signal, timeoutMs = TIMEOUT_MS, ...target }: Target): Promise<TurnAttempt[]> {
  const tries = await targetsOf({ cluster, signal, ...target });
  const each = tries.flatMap(({ block, publicIp, credentials }) =>
    waysTo(block, cluster).map(({ transport, port }) => async (): Promise<TurnAttempt> => {
      const { namespace, node } = block;
      const attempt = { namespace, node, transport, server: hostPort(publicIp, port) };
      if (!(await hasRoute(publicIp)))
        return { ...attempt, certificate: null, failure: null, untried: 'this machine has no IPv6' };
      if (credentials instanceof OramaError)
        return { ...attempt, certificate: null, failure: { message: credentials.message, hint: credentials.hint } };
      const host = cluster.turnNames ? turnDomain(namespace, cluster.baseDomain) : publicIp;
      const settings = {
        uri: `${transport} ${attempt.server}`,
        server: { relays: true, host, port, transport },
        address: publicIp,
        username: credentials.username,
        password: credentials.password,
        namespace,
        ...{ insecure: true, relay: true, packets: PACKETS, timeoutMs, signal },
      };
      try {
        // The name is judged by another check: this one is about the server that should be behind it.
        const result = await checkTurn(settings, async () => [publicIp]);
        return { ...attempt, failure: null, certificate: certificateOf(result) };
      } catch (thrown) {
        if (!(thrown instanceof CheckFailure)) throw thrown;
        const { message, hint, result } = thrown;
        return { ...attempt, failure: { message, hint }, certificate: certificateOf(result) };
      }
    }),
  );
  return someAtOnce(each);
}

/** How clients get to a TURN server. */
function waysTo({ port, tlsPort }: TurnBlock, { turnPort443 }: ClusterFacts) {
  return [
    { transport: 'udp' as const, port },
    { transport: 'tcp' as const, port },
    { transport: 'tls' as const, port: tlsPort },
    ...(turnPort443 ? [{ transport: 'tls' as const, port: HTTPS_PORT }] : []),
  ];
}

/** Asks each TURN server of each namespace for permission to send to private addresses, of the families that it relays. */
export async function tryPeers(target: Target): Promise<PeerAttempt[]> {
  const tries = await targetsOf(target);
  const servers = Map.groupBy(tries, ({ block }) => `${block.namespace} ${block.node}`);
  const asked = [...servers.values()].flatMap((ways) =>
    FAMILIES.map((family) => async () => tryPeersOf(target, await reachable(ways), family)),
  );
  return (await someAtOnce(asked)).flat();
}

/** One server has one policy, whichever way its clients come: the first that this machine has. */
async function reachable(ways: OneServer[]): Promise<OneServer> {
  for (const way of ways) if (await hasRoute(way.publicIp)) return way;
  const [first] = ways as [OneServer];
  return { ...first, credentials: new OramaError('UNAVAILABLE', `this machine has no way to ${first.publicIp}`) };
}

async function tryPeersOf(
  { cluster }: Target,
  { block, publicIp, credentials }: OneServer,
  family: AddressFamily,
): Promise<PeerAttempt[]> {
  const { namespace, node } = block;
  const own = cluster.blocks.flatMap((one) =>
    one.service === 'sfu' && one.namespace === namespace ? [one.address] : [],
  );
  const peers = PRIVATE_PEERS[family].filter((peer) => !own.includes(peer));
  const failed = (why: unknown) =>
    peers.map((peer) => ({ namespace, node, peer, code: null, failure: describeError(why) }));
  if (credentials instanceof OramaError) return failed(credentials);
  let turn: TurnClient;
  try {
    const { username, password } = credentials;
    const server = { address: publicIp, port: block.port };
    turn = await TurnClient.open({ transport: 'udp', server, username, password, timeoutMs: TIMEOUT_MS });
  } catch (thrown) {
    return failed(thrown);
  }
  try {
    await turn.allocate({ family });
    const attempts: PeerAttempt[] = [];
    for (const peer of peers) {
      const code = await turn.createPermission(peer).then(
        () => null,
        (thrown: unknown) => {
          if (thrown instanceof TurnError) return thrown.code;
          throw thrown;
        },
      );
      attempts.push({ namespace, node, peer, code, failure: null });
    }
    return attempts;
  } catch (thrown) {
    // It relays none of that family: nothing is to be refused.
    if (thrown instanceof TurnError && thrown.code === FAMILY_NOT_SUPPORTED) return [];
    return failed(thrown);
  } finally {
    await turn.refresh(0).catch(() => undefined);
    await turn.close();
  }
}

interface OneServer {
  block: TurnBlock;
  publicIp: string;
  /** Or why there are none. */
  credentials: TurnCredentials | OramaError;
}

async function targetsOf({ client, cluster, enabled }: Target): Promise<OneServer[]> {
  const targets = enabled.map(async ({ name }) => {
    const blocks = cluster.blocks.filter(
      (block): block is TurnBlock => block.service === 'turn' && block.namespace === name && !block.leaving,
    );
    const credentials = await client.turnCredentials(name).catch((thrown: unknown) => {
      const error = toOramaError(thrown, 'getting TURN credentials');
      // Of whoever asks, and not of a server.
      if (error.code === 'FORBIDDEN') throw error;
      return error;
    });
    return blocks.flatMap((block) =>
      addressesOf(cluster, block.node).map((publicIp) => ({ block, publicIp, credentials })),
    );
  });
  return (await Promise.all(targets)).flat();
}

function certificateOf({ tls }: CheckResult): TurnAttempt['certificate'] {
  if (!tls) return null;
  const { subject, issuer, validTo } = tls.certificate;
  return { subject, issuer, validTo, distrust: tls.distrust };
}
