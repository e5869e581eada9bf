import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { type Clock, ConfigError } from '@orama/core';
import type { SdpCandidate } from 'sdp-transform';
import { FrontPath, type PathOptions } from './front-path.ts';
import { isStun, readBinding } from './stun-message.ts';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface StunFrontOptions {
  /** The SFU's address, and the ports for media there. */
  address: string;
  portStart: number;
  portEnd: number;
  clock: Clock;
}

/** Below libjuice's own host candidate, so that whoever gets on with that one stays there. */
const PRIORITY = 0x7e0000ff;
const BUFFER_BYTES = 1024 * 1024;

/**
 * A second UDP door of the SFU, one for all peers, for what libjuice cannot do itself:
 * - ICE checks with a tie-breaker of zero, which Chromium sends over TURN/TCP and TURN/TLS and libjuice refuses;
 * - ICE restarts: the peer gets new credentials here, libjuice keeps those it began with.
 *
 * Each peer served has a FrontPath, which stands between the peer and libjuice's socket. Everybody else talks to
 * libjuice directly and is told here to do so.
 */
export class StunFront {
  readonly #options: StunFrontOptions;
  readonly #byUfrag = new Map<string, FrontPath>();
  /** By port of libjuice's socket, which has our address. */
  readonly #byNative = new Map<number, FrontPath>();
  /** By address and port of those let through. */
  readonly #byRemote = new Map<string, Map<number, FrontPath>>();
  #socket: Socket | null = null;
  #endpoint: Endpoint;

  constructor(options: StunFrontOptions) {
    this.#options = options;
    this.#endpoint = { address: options.address, port: options.portEnd };
  }

  /** Final once started. */
  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /** Peers that are reached through here. */
  get servedCount(): number {
    let count = 0;
    for (const path of this.#byNative.values()) if (path.remote) count++;
    return count;
  }

  /**
   * Binds the highest free port of the range.
   * @throws ConfigError when none is free
   */
  async start(): Promise<void> {
    const { address, portStart, portEnd } = this.#options;
    let socket: Socket | null = null;
    for (let port = portEnd; port >= portStart && !socket; port--) socket = await bind(address, port);
    if (!socket) throw new ConfigError(`no media port from ${portStart} to ${portEnd} of ${address} is free`);
    this.#socket = socket;
    this.#endpoint = { address, port: socket.address().port };
    socket.setRecvBufferSize(BUFFER_BYTES);
    socket.setSendBufferSize(BUFFER_BYTES);
    // A datagram that cannot be sent is lost, as on any network.
    socket.on('error', () => {});
    socket.on('message', (datagram, from) => this.#receive(datagram, from));
  }

  /** How a description offers it. */
  get candidate(): SdpCandidate {
    const { address: ip, port } = this.#endpoint;
    return { foundation: 2, component: 1, transport: 'udp', priority: PRIORITY, ip, port, type: 'host' };
  }

  /** Serves a peer from now on, until the path is closed. */
  add(options: PathOptions): FrontPath {
    const { port } = options.native;
    const path = new FrontPath(options, this.#options.clock, {
      endpoint: this.#endpoint,
      send: (datagram, to) => this.#socket?.send(datagram, to.port, to.address),
      learnUfrag: (ufrag) => this.#byUfrag.set(ufrag, path),
      forgetUfrag: (ufrag) => this.#byUfrag.delete(ufrag),
      learnRemote: (remote) => this.#learnRemote(remote, path),
      forgetRemote: (remote) => this.#forgetRemote(remote, path),
      closed: () => this.#byNative.delete(port),
    });
    this.#byNative.set(port, path);
    this.#byUfrag.set(options.local.ufrag, path);
    return path;
  }

  /** Idempotent. */
  close(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  // Every packet of the peers served: nothing is allocated here.
  #receive(datagram: Buffer, from: RemoteInfo): void {
    if (from.address === this.#endpoint.address) {
      const path = this.#byNative.get(from.port);
      if (path) {
        path.receiveFromNative(datagram);
        return;
      }
    }
    if (isStun(datagram)) this.#receiveStun(datagram, from);
    else this.#byRemote.get(from.address)?.get(from.port)?.receiveMedia(datagram);
  }

  #receiveStun(datagram: Buffer, from: RemoteInfo): void {
    const message = readBinding(datagram);
    if (!message) return;
    const ufrag = message.username.split(':', 1)[0] ?? '';
    // A response names nobody; the address must do.
    const path = ufrag === '' ? this.#byRemote.get(from.address)?.get(from.port) : this.#byUfrag.get(ufrag);
    path?.receiveBinding(datagram, message, from);
  }

  #learnRemote({ address, port }: Endpoint, path: FrontPath): void {
    const ports = this.#byRemote.get(address) ?? new Map<number, FrontPath>();
    this.#byRemote.set(address, ports.set(port, path));
  }

  #forgetRemote({ address, port }: Endpoint, path: FrontPath): void {
    const ports = this.#byRemote.get(address);
    // A relay address that another peer was given since is that one's now.
    if (ports?.get(port) !== path) return;
    ports.delete(port);
    if (ports.size === 0) this.#byRemote.delete(address);
  }
}

async function bind(address: string, port: number): Promise<Socket | null> {
  const socket = createSocket({
    type: isIPv6(address) ? 'udp6' : 'udp4',
    // Only addresses are ever sent to.
    lookup: (host, _options, done) => done(null, host, isIPv6(host) ? 6 : 4),
  });
  // Listened for first: with such a lookup the event comes at once.
  const listening = once(socket, 'listening');
  socket.bind({ address, port, exclusive: true });
  try {
    await listening;
    return socket;
  } catch {
    socket.close();
    return null;
  }
}
