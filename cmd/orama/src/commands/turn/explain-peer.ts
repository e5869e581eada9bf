import { describeError, OramaError } from '@orama/core';
import { ipSchema, namespaceNameSchema, nodeIdSchema, type TurnPeerVerdict } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import type { Output } from '../../output/output.ts';
import { renderTable } from '../../output/table.ts';

export function turnExplainPeerCommand(): Command {
  return new Command('explain-peer')
    .description('ask the TURN servers of a namespace whether its clients may reach a peer, and by which rule')
    .argument('<namespace>', 'the namespace', schemaOption(namespaceNameSchema))
    .argument('<ip>', 'address of the peer, IPv4 or IPv6', schemaOption(ipSchema))
    .option('--port <port>', 'its UDP port; rules that name ports are judged by it', integerOption(1, 65_535))
    .option('--node <node>', 'only this TURN node', schemaOption(nodeIdSchema))
    .addHelpText(
      'after',
      examples('orama turn explain-peer myapp 10.0.0.2 --port 20000', 'orama turn explain-peer myapp 8.8.8.8 --json'),
    )
    .action(withContext(explainPeer));
}

async function explainPeer(
  context: Context,
  namespace: string,
  ip: string,
  { port, node }: { port?: number; node?: string },
): Promise<void> {
  const client = connect(context);
  const { services } = await client.webrtcStatus(namespace);
  const serving = services.filter(({ service }) => service === 'turn').map((service) => service.node);
  const nodes = serving.filter((each) => node === undefined || each === node);
  if (nodes.length === 0) throw notServed(namespace, node, serving);
  const failures: unknown[] = [];
  const answers = await Promise.all(
    nodes.map(async (each): Promise<Answer> => {
      try {
        const { allowed, rule, ports } = await client.explainPeer(each, namespace, ip, port);
        return { node: each, allowed, rule, meaning: meaningOf(rule), ...(ports && { ports }) };
      } catch (thrown) {
        failures.push(thrown);
        return { node: each, error: describeError(thrown) };
      }
    }),
  );
  if (failures.length === nodes.length) throw failures[0];
  context.output.result({ namespace, ip, port: port ?? null, nodes: answers }, () =>
    renderTable(
      context.output,
      ['node', ip, 'allowed ports', 'rule', 'which means'],
      answers.map((answer) => describe(context.output, answer)),
    ),
  );
}

/** What a TURN server says, or why it says nothing. */
type Answer = (TurnPeerVerdict & { node: string; meaning: string }) | { node: string; error: string };

function describe(output: Output, answer: Answer): string[] {
  if ('error' in answer) return [answer.node, output.style('red', 'not reached'), '', '', answer.error];
  const { node, allowed, rule, meaning, ports } = answer;
  return [
    node,
    allowed ? output.style('green', 'allowed') : output.style('red', 'refused'),
    allowed && ports === undefined ? 'all' : portsText(ports ?? []),
    rule,
    meaning,
  ];
}

function portsText(ports: readonly { start: number; end: number }[]): string {
  return ports.map(({ start, end }) => (start === end ? String(start) : `${start}-${end}`)).join(', ') || 'none';
}

function notServed(namespace: string, node: string | undefined, serving: readonly string[]): OramaError {
  if (serving.length === 0) {
    return new OramaError('WEBRTC_NOT_ENABLED', `no TURN server serves namespace ${namespace}`, {
      hint: `orama namespace enable webrtc --namespace ${namespace}`,
    });
  }
  return new OramaError('NOT_FOUND', `${node} serves no TURN for namespace ${namespace}`, {
    hint: `its TURN nodes are ${serving.join(', ')}`,
  });
}

/** The rules of the TURN server's peer policy in words. */
const MEANINGS: Record<string, string> = {
  peers: 'a media port of one of the namespace’s own SFUs',
  self: 'the allocation’s own relayed address',
  'own-relay-block': 'ports that other clients of the namespace have on this server now',
  public: 'a public address, and the peer policy is public',
  'own-address': 'an address of this node itself',
  'not-a-peer': 'no SFU of the namespace, and the peer policy is sfu',
  'peer-port': 'a port that no rule allows at this address',
  'unbound-relay-port': 'a port of the namespace’s relay block that none of its clients has now',
  'no-relay-address': 'the namespace has no relay address of this family here',
  metadata: 'cloud metadata',
  'this-network': 'an address that means no host',
  loopback: 'a loopback address',
  'link-local': 'a link-local address',
  private: 'a private address',
  cgnat: 'a shared address of a carrier’s NAT',
  documentation: 'an address for documentation',
  benchmarking: 'an address for benchmarks',
  'protocol-assignments': 'an address that is set aside for protocols',
  multicast: 'a multicast address',
  reserved: 'a reserved address',
  'embedded-ipv4': 'an IPv6 form that carries an IPv4 address',
  unassigned: 'an IPv6 address that is not of the internet',
};

function meaningOf(rule: string): string {
  return MEANINGS[rule] ?? '';
}
