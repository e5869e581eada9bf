import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { checkServerIdentity, connect } from 'node:tls';
import { describeError } from '@orama/core';
import { type CertificateSeen, type SfuHealth, sfuHealthSchema } from '@orama/protocol';
import { callHttp } from '../http-call.ts';
import { type Exposition, readExposition } from './exposition.ts';

/** Longer than any healthy service of the same node takes. */
const PROBE_TIMEOUT_MS = 1_500;
const DAY_MS = 86_400_000;

/** Where a service has `/healthz`, `/readyz` and `/metrics`. */
export interface Internal {
  address: string;
  port: number;
}

/** Null when the service says that it is ready, else why it is not. */
export async function probeReady(internal: Internal): Promise<string | null> {
  try {
    const { status, body } = await callHttp(internal, 'GET', '/readyz', { timeoutMs: PROBE_TIMEOUT_MS });
    if (status === 200) return null;
    const { reason } = JSON.parse(body) as { reason?: string };
    return reason ?? `it answers ${status}`;
  } catch (thrown) {
    return `it does not answer: ${describeError(thrown)}`;
  }
}

/** The version that the service runs; null when it does not answer. */
export async function probeVersion(internal: Internal): Promise<string | null> {
  try {
    const { body } = await callHttp(internal, 'GET', '/healthz', { timeoutMs: PROBE_TIMEOUT_MS });
    return (JSON.parse(body) as { version?: string }).version ?? null;
  } catch {
    return null;
  }
}

/** What the service counts; nothing when it does not answer. */
export async function probeMetrics(internal: Internal): Promise<Exposition> {
  try {
    return readExposition((await callHttp(internal, 'GET', '/metrics', { timeoutMs: PROBE_TIMEOUT_MS })).body);
  } catch {
    return new Map();
  }
}

/** What an SFU says of itself. Throws when it does not answer, or is another one. */
export async function probeSfu(internal: Internal, expected: { namespace: string; node: string }): Promise<SfuHealth> {
  const { body } = await callHttp(internal, 'GET', '/healthz', { timeoutMs: PROBE_TIMEOUT_MS });
  const health = sfuHealthSchema.parse(JSON.parse(body));
  if (health.namespace !== expected.namespace || health.node !== expected.node)
    throw new Error(`its port is held by the SFU of ${health.namespace} on ${health.node}`);
  return health;
}

const STUN_BINDING_REQUEST = 0x0001;
const STUN_BINDING_SUCCESS = 0x0101;
const STUN_COOKIE = 0x2112a442;
const STUN_RETRY_MS = 400;

/** Sends STUN Binding requests (RFC 8489 section 14) over UDP until one is answered. Null, or why there was no answer. */
export function probeStun(address: string, port: number): Promise<string | null> {
  const request = Buffer.alloc(20);
  request.writeUInt16BE(STUN_BINDING_REQUEST, 0);
  request.writeUInt32BE(STUN_COOKIE, 4);
  randomBytes(12).copy(request, 8);
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const send = () => socket.send(request, port, address);
    const again = setInterval(send, STUN_RETRY_MS);
    const end = (result: string | null) => {
      clearInterval(again);
      clearTimeout(late);
      socket.close();
      resolve(result);
    };
    const late = setTimeout(() => end(`no answer over UDP at ${address}:${port}`), PROBE_TIMEOUT_MS);
    socket.on('error', (error) => end(error.message));
    socket.on('message', (message) => {
      const isAnswer = message.length >= 20 && message.readUInt16BE(0) === STUN_BINDING_SUCCESS;
      if (isAnswer && message.subarray(4, 20).equals(request.subarray(4, 20))) end(null);
    });
    send();
  });
}

/** The certificate that a TLS client gets for a name, whoever vouches for it. Rejects when the handshake fails. */
export function probeCertificate({ address, port }: Internal, name: string, nowMs: number): Promise<CertificateSeen> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, servername: name, rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerCertificate();
      socket.destroy();
      const { subject, issuer, valid_to } = certificate;
      const notAfterMs = Date.parse(valid_to);
      resolve({
        name,
        issuer: [issuer.CN ?? issuer.O ?? '?'].flat().join(', '),
        self_signed: JSON.stringify(subject) === JSON.stringify(issuer),
        name_matches: checkServerIdentity(name, certificate) === undefined,
        not_after: new Date(notAfterMs).toISOString(),
        days: Math.floor((notAfterMs - nowMs) / DAY_MS),
      });
    });
    socket.setTimeout(PROBE_TIMEOUT_MS, () => socket.destroy(new Error('no TLS handshake in time')));
    socket.on('error', reject);
  });
}

/**
 * The addresses that a DNS server has for a name, in order; none where there is no such name. Rejects when it does not answer.
 * @param server `<address>:<port>`; null for the resolver of this machine
 */
export async function probeDns(server: string | null, name: string): Promise<string[]> {
  const resolver = new Resolver({ timeout: PROBE_TIMEOUT_MS / 2, tries: 2 });
  if (server !== null) resolver.setServers([server]);
  const ask = (question: Promise<string[]>) =>
    question.catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === 'ENODATA' || thrown.code === 'ENOTFOUND') return [];
      throw thrown;
    });
  const answers = await Promise.all([ask(resolver.resolve4(name)), ask(resolver.resolve6(name))]);
  return answers.flat().sort();
}
