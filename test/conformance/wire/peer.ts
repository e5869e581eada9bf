import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Endpoint } from './stun.ts';

/** A UDP socket on the far side of a relay. */
export class Peer implements Endpoint {
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #patienceMs: number;
  readonly #inbox: { data: Buffer; from: Endpoint }[] = [];
  #wake: (() => void) | undefined;

  private constructor(socket: Socket, address: string, patienceMs: number) {
    this.#socket = socket;
    this.address = address;
    this.port = socket.address().port;
    this.#patienceMs = patienceMs;
    socket.on('error', () => undefined);
    socket.on('message', (data, from) => {
      this.#inbox.push({ data, from: { address: from.address, port: from.port } });
      this.#wake?.();
    });
  }

  /** Rejects when the port is taken. */
  static async open(address: string, patienceMs: number, port = 0): Promise<Peer> {
    const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4' });
    socket.bind({ address, port, exclusive: true });
    try {
      await once(socket, 'listening');
    } catch (thrown) {
      socket.close();
      throw thrown;
    }
    return new Peer(socket, address, patienceMs);
  }

  send(data: Uint8Array, to: Endpoint): void {
    this.#socket.send(data, to.port, to.address);
  }

  /** The next packet. Throws when none comes. */
  async next(): Promise<{ data: Buffer; from: Endpoint }> {
    if (this.#inbox.length === 0) {
      const late = new AbortController();
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([woken, delay(this.#patienceMs, undefined, { signal: late.signal }).catch(() => {})]);
      late.abort();
    }
    const next = this.#inbox.shift();
    if (next === undefined) throw new Error('nothing reached the peer');
    return next;
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }
}
