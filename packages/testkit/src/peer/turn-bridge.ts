import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { TurnCredentials } from '@orama/protocol';
import { TurnClient } from '@orama/turn/client';

export interface TurnBridgeOptions {
  /** Credentials as signalling pushed them. */
  credentials: TurnCredentials;
  transport: 'udp' | 'tcp';
  /** Loopback address for the peer's side. */
  localAddress: string;
}

const CHANNEL = 0x4000;

/** `turn:127.77.1.1:3478?transport=tcp` → address and port, for the first URI of that transport. */
export function turnServerOf(uris: readonly string[], transport: 'udp' | 'tcp'): { address: string; port: number } {
  for (const uri of uris) {
    const match = /^turn:([^?]+):(\d+)\?transport=(udp|tcp)$/.exec(uri);
    if (match?.[3] === transport) return { address: match[1] as string, port: Number(match[2]) };
  }
  throw new Error(`no turn: URI with transport ${transport} among ${uris.join(', ')}`);
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
  #peerPort: number | undefined;
  #isOpening = false;
  #bound = false;
  /** What the peer sent before the way was open: its first check, which it would repeat only half a second later. */
  #early: Buffer[] = [];

  private constructor(turn: TurnClient, relayed: { address: string; port: number }, socket: Socket) {
    this.turn = turn;
    this.relayed = relayed;
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

  static async open({ credentials, transport, localAddress }: TurnBridgeOptions): Promise<TurnBridge> {
    const turn = await TurnClient.open({
      transport,
      server: turnServerOf(credentials.uris, transport),
      username: credentials.username,
      password: credentials.password,
    });
    const { relayed } = await turn.allocate();
    const socket = createSocket('udp4');
    socket.bind(0, localAddress);
    await once(socket, 'listening');
    return new TurnBridge(turn, relayed, socket);
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
  }

  async close(): Promise<void> {
    await this.turn.refresh(0).catch(() => undefined);
    await this.turn.close();
    this.#socket.close();
  }
}
