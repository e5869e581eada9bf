import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { FrameReader } from '../stun/index.ts';

export interface SocketOptions {
  transport: 'udp' | 'tcp';
  /** Address and port of the TURN server. */
  server: { address: string; port: number };
  /** Local address to send from. */
  localAddress?: string;
}

/** A connected way to one TURN server, whatever carries it. */
export interface ClientSocket {
  readonly local: { address: string; port: number };
  /** Resolves when the socket is gone, whoever ended it. */
  readonly closed: Promise<void>;
  send(bytes: Uint8Array): void;
  /** Stops reading from a stream, so that the server's queue fills up. UDP has no such thing. */
  pause(): void;
  close(): Promise<void>;
}

/** Opens a socket; `onPacket` gets each datagram or frame. Rejects when a connection is refused. */
export function openSocket(options: SocketOptions, onPacket: (packet: Buffer) => void): Promise<ClientSocket> {
  return options.transport === 'udp' ? openUdp(options, onPacket) : openTcp(options, onPacket);
}

async function openUdp(options: SocketOptions, onPacket: (packet: Buffer) => void): Promise<ClientSocket> {
  const { address, port } = options.server;
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const closed = new Promise<void>((resolve) => socket.once('close', resolve));
  socket.bind({ address: options.localAddress ?? '', port: 0 });
  await once(socket, 'listening');
  socket.on('error', () => undefined);
  socket.on('message', onPacket);
  const local = socket.address();
  let open = true;
  return {
    local: { address: local.address, port: local.port },
    closed,
    send: (bytes) => {
      if (open) socket.send(bytes, port, address);
    },
    pause: () => undefined,
    close: () => {
      if (open) socket.close();
      open = false;
      return closed;
    },
  };
}

async function openTcp(options: SocketOptions, onPacket: (packet: Buffer) => void): Promise<ClientSocket> {
  const { address, port } = options.server;
  const { localAddress } = options;
  const socket = connect({
    host: address,
    port,
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  const frames = new FrameReader(onPacket);
  socket.on('data', (chunk) => {
    if (!frames.push(chunk)) socket.destroy();
  });
  return {
    local: { address: socket.localAddress ?? '', port: socket.localPort ?? 0 },
    closed,
    send: (bytes) => {
      if (!socket.destroyed) socket.write(bytes);
    },
    pause: () => socket.pause(),
    close: () => {
      socket.destroy();
      return closed;
    },
  };
}
