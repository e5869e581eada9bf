import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

interface Endpoint {
  address: string;
  port: number;
}

/** A UDP way that is slow in one direction: what clients send reaches the server late, what it answers comes at once. */
export class SlowUdp {
  readonly #front: Socket;
  /** One socket to the server for each client, by the client's port. */
  readonly #backs = new Map<number, Socket>();
  readonly #held = new Set<NodeJS.Timeout>();

  private constructor(front: Socket, server: Endpoint, delayMs: number) {
    this.#front = front;
    front.on('message', (packet, client) => {
      const back = this.#backs.get(client.port) ?? this.#openBack(client);
      const timer = setTimeout(() => {
        this.#held.delete(timer);
        back.send(packet, server.port, server.address);
      }, delayMs);
      this.#held.add(timer);
    });
  }

  static async open(options: { listen: Endpoint; server: Endpoint; delayMs: number }): Promise<SlowUdp> {
    const front = createSocket('udp4');
    front.bind(options.listen.port, options.listen.address);
    await once(front, 'listening');
    return new SlowUdp(front, options.server, options.delayMs);
  }

  close(): void {
    for (const timer of this.#held) clearTimeout(timer);
    for (const back of this.#backs.values()) back.close();
    this.#front.close();
  }

  #openBack(client: Endpoint): Socket {
    const back = createSocket('udp4');
    back.bind(0, this.#front.address().address);
    back.on('message', (packet) => this.#front.send(packet, client.port, client.address));
    this.#backs.set(client.port, back);
    return back;
  }
}
