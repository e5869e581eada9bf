import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { MakeSockets } from '@orama/turn';
import type { Random } from '../../support/random.ts';
import { InProcess } from './in-process.ts';
import {
  type DatagramEnd,
  PEER_IP,
  PEER_IP6,
  PEER_PORTS,
  PUBLIC_IP,
  RELAY_IP,
  RELAY_IP6,
  type ServerUnderTest,
  STRANGER_IP,
  type Taps,
  type Way,
} from './server-under-test.ts';
import { type TappedSocket, TappedSockets } from './tapped-sockets.ts';

/** A server of this process, to whose own sockets everything is handed. */
export async function startHanded(taps: Taps): Promise<ServerUnderTest> {
  const way = new Handed(taps);
  const host = await InProcess.start(taps, {}, way.makeSockets);
  way.watch(host.ports.turn);
  return { host, way };
}

/**
 * Datagrams and chunks are handed to the server's sockets as the system would hand them over;
 * node:diagnostics_channel tells of each connection.
 */
class Handed implements Way {
  readonly peerAddress = PEER_IP;
  readonly atOnce = true;
  readonly makeSockets: MakeSockets;
  readonly #clients = new Map<string, (packet: Buffer) => void>();
  readonly #streams = new Map<number, Socket>();
  #sockets: TappedSockets | undefined;
  #port = 0;

  constructor(taps: Taps) {
    const onSent = ({ address: own }: TappedSocket, packet: Buffer, address: string, port: number): boolean => {
      if (own === PUBLIC_IP) {
        const client = this.#clients.get(`${address}:${port}`);
        client?.(packet);
        return client !== undefined;
      }
      taps.toPeer(address, port);
      // Some really go out: nobody listens there, so that the relay sockets live with what ICMP answers.
      return packet.length % 16 !== 0;
    };
    this.makeSockets = (drops, bugs) => {
      this.#sockets = new TappedSockets(onSent, drops, bugs);
      return this.#sockets;
    };
  }

  /** Learns of the connections of a TCP port from now on. */
  watch(port: number): void {
    this.#port = port;
    subscribe('net.server.socket', this.#onStream);
  }

  async open(receive: (packet: Buffer) => void, random: Random): Promise<DatagramEnd> {
    const address = `10.${random.below(4)}.${random.below(4)}.${random.below(256)}`;
    const port = 1 + random.below(65_535);
    this.#clients.set(`${address}:${port}`, receive);
    return { address, port, send: (packet) => this.#socketsOf(PUBLIC_IP)[0]?.receive(packet, address, port) };
  }

  fromPeer(data: Buffer, from: 'peer' | 'stranger', _relayed: unknown, random: Random): void {
    const address = random.pick(from === 'peer' ? [PEER_IP, PEER_IP6] : [STRANGER_IP, '2001:db8::9']);
    const relays = this.#socketsOf(address.includes(':') ? RELAY_IP6 : RELAY_IP);
    if (relays.length === 0) return;
    random.pick(relays).receive(data, address, PEER_PORTS.start + random.below(10));
  }

  deliver(clientPort: number, chunk: Buffer): boolean {
    const socket = this.#streams.get(clientPort);
    if (socket === undefined || socket.destroyed) return false;
    socket.emit('data', chunk);
    return true;
  }

  turn(): Promise<void> {
    return setImmediate();
  }

  clear(): void {
    this.#clients.clear();
  }

  get openSockets(): number {
    return this.#socketsOf(RELAY_IP).length + this.#socketsOf(RELAY_IP6).length + this.#streams.size;
  }

  close(): void {
    unsubscribe('net.server.socket', this.#onStream);
  }

  #socketsOf(address: string): TappedSocket[] {
    return this.#sockets?.sockets.filter((socket) => socket.address === address) ?? [];
  }

  readonly #onStream = (event: unknown): void => {
    const { socket } = event as { socket: Socket };
    const { remotePort } = socket;
    if (socket.localPort !== this.#port || remotePort === undefined || socket.destroyed) return;
    this.#streams.set(remotePort, socket);
    socket.once('close', () => this.#streams.delete(remotePort));
  };
}
