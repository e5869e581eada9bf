import { Resolver } from 'node:dns/promises';
import { type NameserverAnswers, type Namespace, probeDns } from '@orama/controlplane/inspector';
import { describeError, hostPort } from '@orama/core';
import { type ClusterFacts, type NodeFacts, namespaceHost, turnDomain } from '@orama/protocol';

const DNS_PORT = 53;
const TIMEOUT_MS = 2_000;
const TRIES = 2;
/** A server has a rate for each source. */
const NAMES_AT_A_TIME = 10;

interface Target {
  cluster: ClusterFacts;
  enabled: readonly Namespace[];
  nodes: ReadonlyMap<string, NodeFacts>;
}

/** Addresses of the nameservers that the world finds for a domain. Throws when there are none. */
type FindNameservers = (domain: string) => Promise<string[]>;

/** Asks each nameserver of the base domain for the names of the cluster and its namespaces, and for those that should have none any more. */
export async function askNameservers(
  { cluster, enabled, nodes }: Target,
  findNameservers: FindNameservers = delegatedServers,
): Promise<NameserverAnswers[]> {
  const { baseDomain, operatorHost } = cluster;
  const off = cluster.namespaces.filter(({ webrtc }) => webrtc === 'off');
  const ofNamespaces = [...enabled, ...off].flatMap(({ name }) => [
    turnDomain(name, baseDomain),
    namespaceHost(name, baseDomain),
  ]);
  const names = operatorHost === null ? ofNamespaces : [operatorHost, ...ofNamespaces];
  const known = [...nodes.values()].flatMap(({ dns }) =>
    dns.servers.map(({ address, port }) => hostPort(address, port)),
  );
  const writers = new Set([...nodes.values()].map(({ dns }) => dns.writer));
  // Nobody delegates names below "localhost".
  const isPublic = writers.size > 0 && !/(^|\.)localhost$/.test(baseDomain);
  const found = isPublic ? await findNameservers(baseDomain).catch(describeError) : [];
  const answers: (NameserverAnswers | Promise<NameserverAnswers>)[] = [];
  if (typeof found === 'string') {
    const failure = `cannot be found: ${found}`;
    answers.push({ server: `the nameservers of ${baseDomain}`, names: new Map(), failure, isDelegation: true });
  } else known.push(...found.map((address) => hostPort(address, DNS_PORT)));
  answers.push(...[...new Set(known)].map((server) => askOne(server, names)));
  answers.push(...[...nodes.values()].filter(({ dns }) => dns.writer === 'file').map(zoneFileOf));
  return Promise.all(answers);
}

async function askOne(server: string, names: readonly string[]): Promise<NameserverAnswers> {
  try {
    const found = new Map<string, string[]>();
    for (let first = 0; first < names.length; first += NAMES_AT_A_TIME) {
      const some = names.slice(first, first + NAMES_AT_A_TIME);
      await Promise.all(some.map(async (name) => found.set(name, await probeDns(server, name))));
    }
    return { server, names: found, failure: null };
  } catch (thrown) {
    return { server, names: new Map(), failure: `does not answer: ${describeError(thrown)}` };
  }
}

async function delegatedServers(baseDomain: string): Promise<string[]> {
  const servers = await new Resolver({ timeout: TIMEOUT_MS, tries: TRIES }).resolveNs(baseDomain);
  const addresses = (await Promise.all(servers.map((server) => probeDns(null, server)))).flat();
  if (addresses.length === 0) throw new Error(`${servers.join(', ')} have no address`);
  return addresses;
}

/** The file that a server of this node is fed with. */
function zoneFileOf({ node, dns: { zoneFile } }: NodeFacts): NameserverAnswers {
  if (zoneFile === null)
    return { server: `the zone file of ${node}`, names: new Map(), failure: 'has not been written' };
  return { server: `${zoneFile.path} of ${node}`, names: readZone(zoneFile.text), failure: null };
}

/** Names and addresses of a zone file as the controlplane writes it: `<name>. <ttl> IN A <address>`. */
function readZone(text: string): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, name, address] = /^(\S+)\. \d+ IN (?:A|AAAA) (\S+)$/.exec(line) ?? [];
    if (name !== undefined && address !== undefined) names.set(name, [...(names.get(name) ?? []), address]);
  }
  return names;
}
