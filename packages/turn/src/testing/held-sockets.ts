import { DgramSockets } from '../udp/dgram-sockets.ts';
import type { UdpSocket, UdpSocketOptions } from '../udp/udp-socket.ts';

/** Lets everybody pass, until a test holds them. */
class Gate {
  #held: PromiseWithResolvers<void> | undefined;
  #reached: PromiseWithResolvers<void> | undefined;

  /** Holds whoever comes from now on; resolves when the first one waits. */
  hold(): Promise<void> {
    this.#held = Promise.withResolvers();
    this.#reached = Promise.withResolvers();
    return this.#reached.promise;
  }

  release(): void {
    this.#held?.resolve();
  }

  async pass(): Promise<void> {
    this.#reached?.resolve();
    await this.#held?.promise;
  }
}

/** Node's own sockets, which a test can keep from opening and from closing, so that other things happen meanwhile. */
export class HeldSockets extends DgramSockets {
  readonly opening = new Gate();
  readonly closing = new Gate();

  override async open(options: UdpSocketOptions): Promise<UdpSocket> {
    await this.opening.pass();
    const socket = await super.open(options);
    const close = socket.close.bind(socket);
    return Object.assign(socket, {
      close: async () => {
        await this.closing.pass();
        await close();
      },
    });
  }
}
