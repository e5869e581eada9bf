import { once } from 'node:events';
import { connect } from 'node:tls';
import type { GatewayAttempt, Namespace } from '@orama/controlplane/inspector';
import { describeError, hostPort } from '@orama/core';
import { type ClusterFacts, HTTPS_PORT, namespaceHost } from '@orama/protocol';
import { describeCertificate, describeDistrust } from '../turn-check/check-turn.ts';
import { addressesOf, hasRoute, someAtOnce } from './outside.ts';

const TIMEOUT_MS = 5_000;

interface Target {
  cluster: ClusterFacts;
  enabled: readonly Namespace[];
  port?: number;
}

/** What each node shows a browser that opens the host of a namespace, or that of operators. Nothing where URIs carry addresses: no name has a certificate there. */
export async function tryGateways({ cluster, enabled, port = HTTPS_PORT }: Target): Promise<GatewayAttempt[]> {
  if (!cluster.turnNames) return [];
  const nodes = cluster.nodes.filter(({ state }) => state === 'active').map(({ id }) => id);
  const { baseDomain, operatorHost } = cluster;
  const hosts = [
    ...(operatorHost === null ? [] : [{ namespace: null, host: operatorHost, before: `${operatorHost} at ` }]),
    ...enabled.map(({ name }) => ({ namespace: name, host: namespaceHost(name, baseDomain), before: '' })),
  ];
  const all = hosts.flatMap((host) =>
    nodes.flatMap((node) => addressesOf(cluster, node).map((address) => ({ ...host, node, address }))),
  );
  const tries = all.map(({ namespace, host, before, node, address }) => async (): Promise<GatewayAttempt[]> => {
    if (!(await hasRoute(address))) return [];
    const attempt = { namespace, node, server: `${before}${hostPort(address, port)}` };
    try {
      const certificate = await certificateAt(address, port, host);
      return [{ ...attempt, failure: null, certificate }];
    } catch (thrown) {
      return [{ ...attempt, failure: { message: describeError(thrown) }, certificate: null }];
    }
  });
  return (await someAtOnce(tries)).flat();
}

async function certificateAt(host: string, port: number, servername: string) {
  const socket = connect({ host, port, servername, rejectUnauthorized: false });
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no TLS handshake within ${TIMEOUT_MS} ms`)));
  try {
    await once(socket, 'secureConnect');
    const { subject, issuer, validTo } = describeCertificate(socket.getPeerCertificate());
    const distrust = socket.authorized ? null : describeError(socket.authorizationError ?? 'not trusted');
    return { subject, issuer, validTo, distrust: describeDistrust(distrust) };
  } finally {
    socket.destroy();
  }
}
