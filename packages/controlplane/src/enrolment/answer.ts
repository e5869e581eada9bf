import { readFile } from 'node:fs/promises';
import type { InternalReply } from '@orama/core';
import { type ControlplaneConfig, type EnrolAnswer, enrolRequestSchema } from '@orama/protocol';
import { parseInput, readJson } from '../api/route.ts';
import type { OperationContext } from '../operations/context.ts';
import { enrol } from '../operations/invitations.ts';
import { readSecretFiles, refuseOtherSecrets } from './secret-files.ts';

/** Takes a machine in, and tells it what it needs to be a node. */
export async function answerEnrolment(
  context: OperationContext,
  clusterKey: string,
  asked: { invitation: string; body: string; from: string },
): Promise<InternalReply> {
  const { config } = context;
  const request = parseInput(enrolRequestSchema, readJson(asked.body), 'the body');
  const secretFiles = readSecretFiles(config);
  refuseOtherSecrets(request, secretFiles, config.node);
  const enrolled = await enrol(context, asked.invitation, request, asked.from);
  const others = enrolled.members.filter((address) => address !== config.wireguardIp);
  const body: EnrolAnswer = {
    clusterKey,
    wireguardNetwork: config.wireguardNetwork,
    wireguardIp: enrolled.wireguardIp,
    publicIp: enrolled.publicIp,
    peers: enrolled.peers,
    members: [config.wireguardIp, ...others],
    storeCredentials: await storeCredentials(config),
    secretFiles,
    shared: sharedSettings(config),
  };
  return { status: 200, body };
}

async function storeCredentials({ store }: ControlplaneConfig): Promise<string | null> {
  if (store.driver !== 'rqlite' || store.credentialsFile === undefined) return null;
  return (await readFile(store.credentialsFile, 'utf8')).trim();
}

/** What is the same on all nodes. */
function sharedSettings(config: ControlplaneConfig): Record<string, unknown> {
  const { baseDomain, clusterId, ports, dns, certificates } = config;
  const { callPage, trustedProxies, operatorApi } = config.gateway;
  const { port, tlsPort, port443, httpsServer, advertise, defaultLifetimeSec, nonceLifetimeSec } = config.turn;
  const { maxTcpConnectionsPerSource, maxAllocationsPerSource, unauthenticatedRate } = config.turn;
  const { listen: _, ...sharedDns } = dns.writer === 'embedded' ? dns : { ...dns, listen: undefined };
  return {
    ...{ baseDomain, clusterId, ports, dns: sharedDns, certificates },
    api: { port: config.api.port },
    gateway: { callPage, trustedProxies, operatorApi },
    turn: {
      ...{ port, tlsPort, port443, httpsServer, advertise, defaultLifetimeSec, nonceLifetimeSec },
      // Of a client, whichever server it meets; what a machine can bear as a whole is its own.
      ...{ maxTcpConnectionsPerSource, maxAllocationsPerSource, unauthenticatedRate },
    },
  };
}
