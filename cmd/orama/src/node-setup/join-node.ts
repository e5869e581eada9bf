import { readFile, stat } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { callEnrolment, parseJoinToken } from '@orama/controlplane/enrolment';
import { describeError, UserError } from '@orama/core';
import { type ControlplaneConfig, DEFAULT_REGION, type EnrolRequest, type JoinToken } from '@orama/protocol';
import type { Progress } from '../output/progress.ts';
import { chooseFirewall, type FirewallOption } from './choose-firewall.ts';
import { bringUp, type ClusterNetwork, chooseNetwork, findInNetwork, keepKey } from './cluster-network.ts';
import { aloneOnMachine, localAddresses, nodeName } from './machine.ts';
import { type NodeFacts, nodeConfig } from './node-config.ts';
import {
  checkNodeConfig,
  makeFolders,
  memberStore,
  readNodeConfig,
  requireRqlited,
  writeClusterKey,
  writeNodeConfig,
  writeStoreMember,
} from './node-files.ts';
import { openAddress, publicAddress } from './public-address.ts';
import { refuseOther } from './refuse-other.ts';
import { bringSecrets, lookForSecrets } from './secret-files.ts';
import { startNode } from './start-node.ts';

export interface JoinOptions {
  tokenFile?: string;
  name?: string;
  region?: string;
  publicIp?: string;
  publicIp6?: string;
  wireguardInterface?: string;
  wireguardPort: number;
  trustedNetwork?: string;
  firewall?: FirewallOption;
}

/** Makes this machine a node of the cluster that the token is of. One that is it already is started and waited for. */
export function joinNode(
  token: string | undefined,
  options: JoinOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<ControlplaneConfig> {
  return aloneOnMachine(async () => {
    const existing = await readNodeConfig();
    const given =
      existing && token === undefined && options.tokenFile === undefined
        ? null
        : await readToken(token, options, progress);
    if (existing && given && existing.clusterId !== given.clusterId) {
      throw new UserError(
        'CONFLICT',
        `this machine is ${existing.node} of another cluster (${existing.baseDomain}) already`,
        {
          hint: 'take it out there first: orama node leave',
        },
      );
    }
    if (existing) refuseOther(existing, options);
    const config = existing ?? (await setUp(given as JoinToken, options, progress, signal));
    await startNode(config, progress, signal);
    return config;
  });
}

/** Every step finds what a run before it left, and the configuration comes last. */
async function setUp(
  token: JoinToken,
  options: JoinOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<ControlplaneConfig> {
  requireRqlited();
  const node = nodeName(options.name);
  const secretFiles = lookForSecrets(token.secretFiles);
  const network = token.keepsPeers ? await chooseOwn(options) : await findInNetwork(options, token.wireguardNetwork);
  const own = localAddresses().filter((each) => each.interface !== network.interface);
  const firewall = await chooseFirewall(options.firewall ?? 'none', progress);
  if (network.kind === 'wireguard') await keepKey(network);
  progress.update(`asking ${token.endpoint} to take ${node} in`);
  // From here on the cluster has it for a node.
  signal.throwIfAborted();
  const answer = await callEnrolment(token, { ...(await request(node, network, own, options)), secretFiles });
  const { publicIp, localIp } = await publicAddress(own, options.publicIp, answer.publicIp);
  progress.step(
    `${node} is taken in; it is reached at ${publicIp}${localIp === publicIp ? '' : `, by 1:1 NAT to ${localIp}`}`,
  );
  const { wireguardIp, wireguardNetwork, members } = answer;
  const credentials = answer.storeCredentials ?? undefined;
  const member = { node, address: wireguardIp, others: members, credentials };
  const { region = DEFAULT_REGION, publicIp6 } = options;
  const config = nodeConfig({
    node,
    region,
    publicIp,
    publicIp6,
    localIp,
    wireguardIp,
    wireguardNetwork,
    network,
    store: memberStore(member),
    firewall,
    shared: answer.shared as NodeFacts['shared'],
  });
  checkNodeConfig(config);
  await makeFolders();
  if (network.kind === 'wireguard')
    await bringUp(network, `${wireguardIp}/${wireguardNetwork.split('/')[1]}`, answer.peers);
  progress.step(`${network.interface} is up with ${wireguardIp}`);
  await writeClusterKey(answer.clusterKey);
  await bringSecrets(answer.secretFiles);
  await writeStoreMember(member);
  return writeNodeConfig(config);
}

/** An interface of ours: the members have it as a peer. */
async function chooseOwn(options: JoinOptions): Promise<ClusterNetwork> {
  const network = await chooseNetwork(options);
  if (network.kind === 'wireguard') return network;
  throw new UserError(
    'CONFLICT',
    `the nodes of this cluster keep their peers themselves, and ${network.interface} is not of that kind`,
    {
      hint: 'join without --wireguard-interface and --trusted-network: an interface is made',
    },
  );
}

async function request(
  node: string,
  network: ClusterNetwork,
  own: ReturnType<typeof localAddresses>,
  { region = DEFAULT_REGION, publicIp, publicIp6 }: JoinOptions,
): Promise<Omit<EnrolRequest, 'secretFiles'>> {
  const isOurs = network.kind === 'wireguard';
  // Over the cluster's own network the others do not see the public address.
  const open = publicIp ?? (isOurs ? await openAddress(own) : (await publicAddress(own, publicIp)).publicIp);
  return {
    ...{ node, region, publicIp: open ?? null, publicIp6: publicIp6 ?? null },
    network: isOurs
      ? { kind: 'wireguard', publicKey: network.publicKey, port: network.listenPort }
      : { kind: 'present', address: network.address },
  };
}

/** From the command line, a file, or standard input. */
async function readToken(
  given: string | undefined,
  { tokenFile }: JoinOptions,
  progress: Progress,
): Promise<JoinToken> {
  if (given !== undefined && given !== '-') {
    // Other users of this machine see command lines.
    process.title = 'orama node join';
    return parseJoinToken(given);
  }
  if (tokenFile === undefined) {
    if (given === undefined && process.stdin.isTTY) {
      throw new UserError('INVALID_REQUEST', 'a machine joins with a token, and none was given', {
        hint: 'print one on a node of the cluster (orama node invite), then: orama node join --token-file <file>',
      });
    }
    return parseJoinToken(await text(process.stdin));
  }
  try {
    const token = parseJoinToken(await readFile(tokenFile, 'utf8'));
    if ((await stat(tokenFile)).mode & 0o077)
      progress.step(`others can read ${tokenFile}, which is worth the cluster: chmod 600, and take it away afterwards`);
    return token;
  } catch (thrown) {
    if (thrown instanceof Error && 'syscall' in thrown)
      throw new UserError('INVALID_REQUEST', `the token cannot be read: ${describeError(thrown)}`, { cause: thrown });
    throw thrown;
  }
}
