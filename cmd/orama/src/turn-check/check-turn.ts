import { randomBytes } from 'node:crypto';
import { ADDRCONFIG } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import type { StunUri } from '@orama/protocol';
import { type TlsFacts, TurnClient } from '@orama/turn/client';
import { unlessAborted } from '../wait.ts';
import { CheckFailure, type Login } from './failure.ts';
import type { CheckResult, Ms } from './result.ts';

export interface CheckOptions extends Login {
  uri: string;
  server: StunUri;
  /** Which of the server's addresses; by default the first that its name has. */
  address?: string;
  password?: string;
  /** Goes on with a certificate that is not to be trusted. */
  insecure: boolean;
  /** Whether packets are relayed, or the check ends with the allocation. */
  relay: boolean;
  /** Packets to relay. */
  packets: number;
  /** How long each step may take. */
  timeoutMs: number;
  signal: AbortSignal;
}

/** Bytes of a relayed packet: those of a full one of video. */
const PACKET_BYTES = 1_000;
const CHANNEL = 0x4000;
/** How long somebody who ends a check waits for the server to take the allocation back. */
const GIVE_BACK_MS = 2_000;

/** Finds the addresses of a name or address; rejects with the system's error. */
export type ResolveName = (host: string) => Promise<string[]>;

/** The addresses of a name, of families that this machine has. */
const lookupAll: ResolveName = async (host) =>
  (await lookup(host, { all: true, hints: isIP(host) === 0 ? ADDRCONFIG : 0 })).map(({ address }) => address);

/**
 * Goes a client's whole way with a server, measuring each step: name, connection, TLS, allocation, a channel to its own
 * relayed address, packets through it. What it made it gives back, also when `signal` ends it. Throws a CheckFailure with
 * what was measured so far, or the signal's reason.
 */
export async function checkTurn(options: CheckOptions, resolveName = lookupAll): Promise<CheckResult> {
  const { uri, server, timeoutMs, signal } = options;
  const result: CheckResult = { uri, server };
  const step = async <T>(name: CheckFailure['step'], work: () => Promise<T>): Promise<{ value: T; ms: Ms }> => {
    signal.throwIfAborted();
    const startedMs = performance.now();
    try {
      return { value: await unlessAborted(work(), signal), ms: since(startedMs) };
    } catch (thrown) {
      signal.throwIfAborted();
      throw new CheckFailure(name, result, options, thrown);
    }
  };

  const resolved = await step('resolve', () => inTime(resolveName(server.host), timeoutMs));
  const addresses = [...new Set(resolved.value)];
  const address = options.address ?? (addresses[0] as string);
  result.resolve = { address, ms: resolved.ms, ...(addresses.length > 1 && { addresses }) };
  const opening = TurnClient.open({
    transport: server.transport,
    server: { address, port: server.port },
    ...(options.username !== undefined && { username: options.username }),
    ...(options.password !== undefined && { password: options.password }),
    // The certificate is judged here, so that it can be shown when it is refused.
    tls: { rejectUnauthorized: false, ...(isIP(server.host) === 0 && { servername: server.host }) },
    connectTimeoutMs: timeoutMs,
    timeoutMs,
    signal,
  });
  try {
    await step('connect', () => opening);
  } catch (thrown) {
    await opening.then((client) => client.close()).catch(() => undefined);
    throw thrown;
  }
  const client = await opening;
  try {
    if (server.transport !== 'udp') result.connect = { ms: round(client.connectMs) };
    if (client.tls) {
      result.tls = describeTls(client.tls);
      await step('trust', async () => {
        if (client.tls?.distrust != null && !options.insecure) throw new Error(result.tls?.distrust ?? '');
      });
    }
    if (!server.relays) {
      const { value, ms } = await step('binding', () => client.binding());
      result.binding = { mapped: endpoint(value), ms };
      return result;
    }
    const allocating = client.allocate();
    try {
      const { value, ms } = await step('allocate', () => allocating);
      const { relayed, mapped, lifetimeSec, software = null } = value;
      result.allocate = { relayed: endpoint(relayed), mapped: endpoint(mapped), lifetimeSec, software, ms };
      if (!options.relay) return result;
      const bound = await step('bind', () => client.channelBind(CHANNEL, relayed.address, relayed.port));
      result.bind = { ms: bound.ms };
      result.relay = (await step('relay', () => relayPackets(client, options))).value;
      if (result.relay.received === 0)
        throw new CheckFailure('relay', result, options, new Error('no packet came back'));
      return result;
    } finally {
      // It may be made only now, when the check has been ended.
      const givenBack = allocating.then(() => client.refresh(0));
      const patience = AbortSignal.timeout(signal.aborted ? GIVE_BACK_MS : timeoutMs);
      await unlessAborted(givenBack, patience).catch(() => undefined);
    }
  } finally {
    await client.close();
  }
}

/** The system's resolver has times of its own, ten seconds and more, and cannot be told to end: it is left alone then. */
async function inTime<T>(resolving: Promise<T>, timeoutMs: number): Promise<T> {
  const late = AbortSignal.timeout(timeoutMs);
  return unlessAborted(resolving, late).catch((thrown: unknown) => {
    throw late.aborted ? new Error(`no answer within ${timeoutMs} ms`) : thrown;
  });
}

/** Sends packets one after the other through the channel to oneself; each is waited for, and lost when it is late. */
async function relayPackets(
  client: TurnClient,
  { packets, timeoutMs, signal }: CheckOptions,
): Promise<NonNullable<CheckResult['relay']>> {
  const roundTrips: number[] = [];
  // A path that loses everything must not be waited for as often as there are packets.
  const waitMs = Math.max(100, timeoutMs / packets);
  for (let number = 0; number < packets; number += 1) {
    signal.throwIfAborted();
    const packet = randomBytes(PACKET_BYTES);
    const startedMs = performance.now();
    const returned = await new Promise<boolean>((resolve) => {
      const done = (came: boolean) => {
        clearTimeout(late);
        off();
        resolve(came);
      };
      const late = setTimeout(() => done(false), waitMs);
      const off = client.onData(({ data }) => {
        if (packet.equals(data)) done(true);
      });
      client.channelData(CHANNEL, packet);
    });
    if (returned) roundTrips.push(since(startedMs));
  }
  const sorted = roundTrips.sort((a, b) => a - b);
  return {
    sent: packets,
    received: sorted.length,
    bytes: PACKET_BYTES,
    minMs: sorted[0] ?? 0,
    medianMs: sorted[Math.floor(sorted.length / 2)] ?? 0,
    maxMs: sorted.at(-1) ?? 0,
  };
}

function describeTls(tls: TlsFacts): NonNullable<CheckResult['tls']> {
  const { certificate, protocol, cipher, distrust, handshakeMs } = tls;
  return {
    ms: round(handshakeMs),
    protocol,
    cipher,
    certificate: describeCertificate(certificate),
    distrust: describeDistrust(distrust),
  };
}

export function describeCertificate(certificate: PeerCertificate): NonNullable<CheckResult['tls']>['certificate'] {
  const nameOf = (names: object | undefined) =>
    Object.entries(names ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(', ');
  return {
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    names: certificate.subjectaltname?.split(', ') ?? [],
    validTo: new Date(certificate.valid_to).toISOString(),
    fingerprint256: certificate.fingerprint256,
  };
}

/** Why a certificate is not trusted, in words; null when it is. */
export function describeDistrust(code: string | null): string | null {
  return code === null ? null : (DISTRUST[code] ?? code);
}

/** What OpenSSL and Node have against a certificate, in words. */
const DISTRUST: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'an unknown authority issued it',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'an unknown authority issued it, or the server leaves out its chain',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'an unknown authority issued it, or the server leaves out its chain',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it was made for other names',
};

function endpoint({ address, port }: { address: string; port: number }): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

const since = (startedMs: number) => round(performance.now() - startedMs);
const round = (ms: number) => Math.round(ms * 1000) / 1000;
