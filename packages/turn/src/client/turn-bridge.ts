import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { type StunUri, stunUriSchema, type TurnCredentials } from '@orama/protocol';
import { candidateOf } from './sdp-candidates.ts';
import { type AllocateResult, TurnClient } from './turn-client.ts';

export { candidateOf, withoutCandidates } from './sdp-candidates.ts';

export interface TurnBridgeOptions {
  /** Credentials as signalling pushed them. */
  credentials: TurnCredentials;
  /** To the server; with `tls` its certificate has to be one that this machine trusts, for the name or address in the URI. */
  transport: StunUri['transport'];
  /** Asks all servers of the transport at once, as browsers do, and takes the first that answers; else the first named. */
  anyServer?: boolean;
  /** Loopback address for the peer's side. */
  localAddress: string;
  /** How long a connection, and then each request for an allocation, may take; what comes later takes as long as by default. */
  openTimeoutMs?: number;
  /** Called once when the way broke; not after `close()`. */
  onBroken?: (thrown: unknown) => void;
}

const CHANNEL = 0x4000;
/** Well within the five minutes of a permission (RFC 8656 section 9), which a ChannelBind renews as well. */
const KEEP_ALIVE_MAX_MS = 120_000;

interface Server {
  /** A name or an address. */
  address: string;
  port: number;
}

/** Where the TURN URIs (RFC 7065) of a transport lead, in their order; at least one. */
export function turnServersOf(uris: readonly string[], transport: StunUri['transport']): [Server, ...Server[]] {
  const [first, ...others] = uris.flatMap((uri) => {
    const { data } = stunUriSchema.safeParse(uri);
    return data?.relays && data.transport === transport ? [{ address: data.host, port: data.port }] : [];
  });
  if (!first) throw new Error(`no TURN URI with transport ${transport} among ${uris.join(', ')}`);
  return [first, ...others];
}

/**
 * Carries a WebRTC peer that knows no TURN over a real allocation: what the peer sends to the bridge's UDP socket
 * leaves from the relay, and what the SFU sends to the relay reaches the peer from that socket.
 */
export class TurnBridge {
  readonly turn: TurnClient;
  /** Address and port of the relay: what the SFU sees. */
  readonly relayed: { address: string; port: number };
  readonly #socket: Socket;
  readonly #onBroken: (thrown: unknown) => void;
  readonly #keepAliveMs: number;
  #keepAlive: NodeJS.Timeout | undefined;
  #peerPort: number | undefined;
  #isOpening = false;
  #bound = false;
  /** What the peer sent before the way was open: its first check, which it would repeat only half a second later. */
  #early: Buffer[] = [];

  private constructor(
    turn: TurnClient,
    { relayed, lifetimeSec }: Pick<AllocateResult, 'relayed' | 'lifetimeSec'>,
    socket: Socket,
    onBroken: (thrown: unknown) => void,
  ) {
    this.turn = turn;
    this.#onBroken = onBroken;
    this.relayed = relayed;
    this.#keepAliveMs = Math.min(KEEP_ALIVE_MAX_MS, (lifetimeSec * 1_000) / 2);
    this.#socket = socket;
    socket.on('message', (packet, from) => {
      this.#peerPort = from.port;
      if (this.#bound) turn.channelData(CHANNEL, packet);
      else this.#early.push(packet);
    });
    turn.onData(({ data }) => {
      if (this.#peerPort !== undefined) socket.send(data, this.#peerPort, socket.address().address);
    });
  }

  static async open(options: TurnBridgeOptions): Promise<TurnBridge> {
    const servers = turnServersOf(options.credentials.uris, options.transport);
    const asked = (options.anyServer ? servers : [servers[0]]).map((server) => allocateAt(server, options));
    const { turn, allocated } = await Promise.any(asked).catch(({ errors }: AggregateError) =>
      Promise.reject(errors[0]),
    );
    for (const other of asked)
      other.then(
        async (late) => late.turn !== turn && (await giveBack(late.turn)),
        () => {},
      );
    const socket = createSocket('udp4');
    socket.bind(0, options.localAddress);
    await once(socket, 'listening');
    return new TurnBridge(turn, allocated, socket, options.onBroken ?? (() => {}));
  }

  /** The relay as an ICE candidate line. */
  get candidate(): string {
    return `candidate:1 1 UDP 16777215 ${this.relayed.address} ${this.relayed.port} typ relay raddr 0.0.0.0 rport 0`;
  }

  /** Where the peer must send instead of to the SFU. */
  get local(): { address: string; port: number } {
    return this.#socket.address();
  }

  /** Says that a packet from the peer may come from this local port even before it sent one. */
  expectPeer(port: number): void {
    this.#peerPort ??= port;
  }

  /** Opens the way to the SFU's candidate. Of several the first is taken: the others are for whom that one fails. */
  async connect(sfu: { address: string; port: number }): Promise<void> {
    if (this.#isOpening) return;
    this.#isOpening = true;
    await this.turn.createPermission(sfu.address);
    await this.turn.channelBind(CHANNEL, sfu.address, sfu.port);
    this.#bound = true;
    for (const packet of this.#early.splice(0)) this.turn.channelData(CHANNEL, packet);
    this.#keepAlive = setInterval(() => void this.#renew(sfu), this.#keepAliveMs);
  }

  /** A description with the SFU's candidates replaced by the bridge, which carries on to them. */
  redirected(sdp: string): string {
    return sdp.replaceAll(/^a=(candidate:.*)$/gm, (_line, candidate: string) => `a=${this.redirect(candidate.trim())}`);
  }

  /** One candidate of the SFU, replaced by the bridge. */
  redirect(candidate: string): string {
    const sfu = candidateOf(candidate);
    if (!sfu) return candidate;
    this.connect(sfu).catch((thrown: unknown) => this.#onBroken(thrown));
    return `candidate:1 1 UDP 2122317823 ${this.local.address} ${this.local.port} typ host`;
  }

  async close(): Promise<void> {
    clearInterval(this.#keepAlive);
    await giveBack(this.turn);
    this.#socket.close();
  }

  async #renew(sfu: { address: string; port: number }): Promise<void> {
    try {
      await this.turn.refresh();
      await this.turn.channelBind(CHANNEL, sfu.address, sfu.port);
    } catch (thrown) {
      clearInterval(this.#keepAlive);
      this.#onBroken(thrown);
    }
  }
}

async function allocateAt(
  { address: host, port }: Server,
  { credentials: { username, password }, transport, openTimeoutMs }: TurnBridgeOptions,
): Promise<{ turn: TurnClient; allocated: AllocateResult }> {
  const { address } = await lookup(host);
  const turn = await TurnClient.open({
    ...{ transport, server: { address, port }, username, password },
    ...(openTimeoutMs !== undefined && { connectTimeoutMs: openTimeoutMs }),
    ...(isIP(host) === 0 && { tls: { servername: host } }),
  });
  try {
    return { turn, allocated: await turn.allocate({ timeoutMs: openTimeoutMs }) };
  } catch (thrown) {
    await turn.close();
    throw thrown;
  }
}

async function giveBack(turn: TurnClient): Promise<void> {
  await turn.refresh(0).catch(() => undefined);
  await turn.close();
}
