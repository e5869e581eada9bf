import type { NodeFacts } from '@orama/protocol';
import { type Block, type Check, type Facts, type Finding, ok, unlessTakenOut } from '../check.ts';

type Socket = NodeFacts['sockets'][number];

export const portRows: Check = {
  id: 'port-rows',
  question: 'do the sockets of each node equal the port blocks that the store gives away?',
  needs: ['nodes'],
  judge: (facts) => [...facts.nodes.values()].flatMap((node) => judgeNode(facts, node)),
};

function judgeNode(all: Facts, facts: NodeFacts): Finding[] {
  const { cluster, enabled } = all;
  const { node, sockets } = facts;
  const blocks = cluster.blocks.filter((block) => block.node === node);
  const wanted = blocks.filter(({ leaving, namespace }) => !leaving && enabled.some(({ name }) => name === namespace));
  const missing = wanted.flatMap((block): Finding[] => {
    const absent = listenersOf(block, facts).filter((one) => !sockets.some((socket) => isSame(socket, one)));
    if (absent.length === 0) return [];
    const { service, namespace } = block;
    const finding: Finding = {
      severity: 'critical',
      node,
      namespace,
      seen: `nothing of ours listens on ${absent.map(show).join(', ')}, which the store gives to its ${service}`,
      mend: `on ${node}: ss -tulpn shows who does; journalctl -u ${service === 'sfu' ? `orama-namespace-sfu@${namespace}` : 'orama-turn'}`,
    };
    return [service === 'turn' ? unlessTakenOut(all, finding) : finding];
  });
  const stray = sockets.filter(
    (socket) => isInOurRanges(socket, facts) && !blocks.some((block) => holds(block, socket)),
  );
  const strays = stray.map(
    (socket): Finding => ({
      severity: 'warning',
      node,
      seen: `${show(socket)}${socket.unit === null ? '' : ` of ${socket.unit}`} is in no port block of the store`,
      mend: `orama reconcile --dry-run --node ${node}; if it stays, on ${node}: ss -tulpn names the process`,
    }),
  );
  const found = [...missing, ...strays];
  return found.length > 0 ? found : [ok(`${wanted.length} blocks, each with its sockets and no others`, { node })];
}

type Listener = Pick<Socket, 'protocol' | 'address' | 'port'>;

/** Where a block's service has to listen. */
function listenersOf(block: Block, { publicAddresses }: NodeFacts): Listener[] {
  if (block.service === 'sfu') return [{ protocol: 'tcp', address: block.address, port: block.signalingPort }];
  return publicAddresses.flatMap((address): Listener[] => [
    { protocol: 'udp', address, port: block.port },
    { protocol: 'tcp', address, port: block.port },
    { protocol: 'tcp', address, port: block.tlsPort },
  ]);
}

function isSame(a: Listener, b: Listener): boolean {
  return a.protocol === b.protocol && a.address === b.address && a.port === b.port;
}

function isInOurRanges(
  { protocol, port, address }: Socket,
  { ranges, wireguardIp, publicAddresses }: NodeFacts,
): boolean {
  if (address !== wireguardIp && !publicAddresses.includes(address)) return false;
  const given = protocol === 'tcp' ? [ranges.sfuSignaling] : [ranges.sfuMedia, ranges.turnRelay];
  return given.some((range) => isIn(range, port));
}

function holds(block: Block, { protocol, port }: Socket): boolean {
  if (block.service === 'turn') return protocol === 'udp' && isIn(block.relay, port);
  return protocol === 'tcp' ? port === block.signalingPort : isIn(block.media, port);
}

function isIn({ start, end }: { start: number; end: number }, port: number): boolean {
  return port >= start && port <= end;
}

function show({ protocol, address, port }: Listener): string {
  return `${protocol} ${address}:${port}`;
}
