import { type Client, type ClientOptions, type Credentials, Client as WireClient } from './wire/client.ts';
import { Peer } from './wire/peer.ts';
import type { Transport } from './wire/socket.ts';
import { type Attribute, type Endpoint, message, TYPE } from './wire/stun.ts';

/** What an engine may lack without failing: it does not offer it. */
export type Feature = 'tcp' | 'tls' | 'ipv6' | 'sha256' | 'limits';

/** How many ports and allocations a server has: plenty, or three ports and two allocations for each user. */
export type Size = 'roomy' | 'tight';

/** A running server of some engine. */
export interface Server {
  readonly address: string;
  readonly port: number;
  readonly tlsPort: number;
  /** Where its relay addresses are. */
  readonly relayPorts: { readonly first: number; readonly last: number };
  readonly addresses: Addresses;
  /** REST credentials of one of several users. */
  credentials(user?: number, ttlSec?: number): Credentials;
  stop(): Promise<void>;
}

/** Loopback addresses of one run, so that two runs on one machine do not meet. */
export interface Addresses {
  readonly client: string;
  readonly otherClient: string;
  readonly peer: string;
  readonly otherPeer: string;
  /** A peer that the server is told to refuse. */
  readonly forbiddenPeer: string;
}

/** A program that is judged. */
export interface Engine {
  readonly name: string;
  readonly offers: ReadonlySet<Feature>;
  start(size: Size): Promise<Server>;
}

/** One demand on a TURN server, and how to see whether it is met. */
export interface Rule {
  readonly id: string;
  /** Where it is written. */
  readonly source: string;
  readonly level: 'MUST' | 'SHOULD';
  /** One sentence. */
  readonly says: string;
  readonly needs: readonly Feature[];
  readonly size: Size;
  /** Throws when the server does not meet it. */
  readonly check: (bench: Bench) => Promise<void>;
}

/** A rule; everything but its options is what the table shows. */
export function rule(
  id: string,
  source: string,
  level: Rule['level'],
  says: string,
  check: Rule['check'],
  options: { needs?: Feature[]; size?: Size } = {},
): Rule {
  return { id, source, level, says, check, needs: options.needs ?? [], size: options.size ?? 'roomy' };
}

/** One rule's clients and peers at one server; all gone with `close`. */
export class Bench {
  readonly server: Server;
  readonly #patienceMs: number;
  readonly #closers: (() => Promise<void>)[] = [];

  /** @param patienceMs how long an answer may take before there is none */
  constructor(server: Server, patienceMs: number) {
    this.server = server;
    this.#patienceMs = patienceMs;
  }

  /** A client that has sent nothing yet. */
  async client(
    options: { transport?: Transport; credentials?: Credentials; ipv6?: boolean; from?: string } = {},
  ): Promise<Client> {
    const { transport = 'udp', credentials = this.server.credentials(), ipv6 = false } = options;
    const { address, port, tlsPort, addresses } = this.server;
    const wire: ClientOptions = {
      transport,
      server: { address: ipv6 ? '::1' : address, port: transport === 'tls' ? tlsPort : port },
      localAddress: options.from ?? (ipv6 ? '::1' : addresses.client),
      credentials,
      patienceMs: this.#patienceMs,
    };
    const client = await WireClient.open(wire);
    this.#closers.push(() => client.close());
    return client;
  }

  /** A client with an allocation, and where it is reached. */
  async allocated(
    options: Parameters<Bench['client']>[0] = {},
    ...attributes: Attribute[]
  ): Promise<{ client: Client; relayed: Endpoint }> {
    const client = await this.client(options);
    const { relayed } = await client.allocate(...attributes);
    return { client, relayed };
  }

  /** A client with an allocation and a channel to a peer. */
  async bound(options: Parameters<Bench['client']>[0] = {}, channel = 0x4000) {
    const { client, relayed } = await this.allocated(options);
    const peer = await this.peer();
    const response = await client.bind(channel, peer);
    if (!response.isSuccess) throw new Error(`ChannelBind was answered with ${response.code}`);
    return { client, relayed, peer };
  }

  async peer(address = this.server.addresses.peer): Promise<Peer> {
    const peer = await Peer.open(address, this.#patienceMs);
    this.#closers.push(() => peer.close());
    return peer;
  }

  /** Where a peer was that is gone: nobody has its port. */
  async gonePeer(address = this.server.addresses.peer): Promise<Endpoint> {
    const peer = await Peer.open(address, this.#patienceMs);
    await peer.close();
    return { address, port: peer.port };
  }

  /** Whether a relay port can be bound by somebody else: nobody has it. The server answers between one look and the next. */
  async isFree({ address, port }: Endpoint): Promise<boolean> {
    const client = await this.client();
    for (const deadline = performance.now() + this.#patienceMs; performance.now() < deadline; ) {
      try {
        await (await Peer.open(address, 0, port)).close();
        return true;
      } catch {
        await client.ask(message(TYPE.bindingRequest, []));
      }
    }
    return false;
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
  }
}
