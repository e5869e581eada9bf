import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type PeerCertificate, TLSSocket } from 'node:tls';
import { describeError } from '@orama/core';
import { FrameReader } from '../stun/index.ts';

export interface SocketOptions {
  transport: 'udp' | 'tcp' | 'tls';
  /** Address and port of the TURN server. */
  server: { address: string; port: number };
  /** Local address to send from. */
  localAddress?: string;
  /** How to trust the server of a `tls` transport; the system's authorities and the server's address by default. */
  tls?: Pick<ConnectionOptions, 'ca' | 'rejectUnauthorized' | 'servername' | 'ALPNProtocols' | 'maxVersion'>;
  /** How long a connection, with its handshake, may take to come about; as long as the system lets it by default. */
  connectTimeoutMs?: number;
  /** Ends a connection that has not come about yet. */
  signal?: AbortSignal;
}

/** How a TLS connection came about. */
export interface TlsFacts {
  /** `TLSv1.3`. */
  protocol: string;
  cipher: string;
  certificate: PeerCertificate;
  /** Why the certificate is not to be trusted; null when it is. Not null only with `rejectUnauthorized: false`. */
  distrust: string | null;
  /** Milliseconds from the TCP connection to the end of the handshake. */
  handshakeMs: number;
}

/** A connected way to one TURN server, whatever carries it. */
export interface ClientSocket {
  readonly local: { address: string; port: number };
  /** Milliseconds until there was a TCP connection; 0 for UDP, which has none. */
  readonly connectMs: number;
  /** Only of `tls`. */
  readonly tls: TlsFacts | undefined;
  /** Resolves when the socket is gone, whoever ended it. */
  readonly closed: Promise<void>;
  send(bytes: Uint8Array): void;
  /** Stops reading from a stream, so that the server's queue fills up. UDP has no such thing. */
  pause(): void;
  close(): Promise<void>;
}

/**
 * Opens a socket; `onPacket` gets each datagram or frame. Rejects when a connection is refused, or when a TLS server
 * cannot be trusted.
 */
export function openSocket(options: SocketOptions, onPacket: (packet: Buffer) => void): Promise<ClientSocket> {
  return options.transport === 'udp' ? openUdp(options, onPacket) : openStream(options, onPacket);
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
    connectMs: 0,
    tls: undefined,
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

async function openStream(options: SocketOptions, onPacket: (packet: Buffer) => void): Promise<ClientSocket> {
  const { server, localAddress, tls } = options;
  const target = {
    host: server.address,
    port: server.port,
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  };
  const secure = options.transport === 'tls';
  const serverName = isIP(server.address) === 0 ? { servername: server.address } : {};
  const socket = secure
    ? connectTls({ ...target, ALPNProtocols: ['stun.turn'], ...serverName, ...tls })
    : connect(target);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const startedMs = performance.now();
  let connectMs = 0;
  socket.once('connect', () => {
    connectMs = performance.now() - startedMs;
  });
  await opened(socket, secure ? 'secureConnect' : 'connect', options);
  const handshakeMs = performance.now() - startedMs - connectMs;
  socket.on('error', () => undefined);
  const frames = new FrameReader(onPacket);
  socket.on('data', (chunk) => {
    if (!frames.push(chunk)) socket.destroy();
  });
  return {
    local: { address: socket.localAddress ?? '', port: socket.localPort ?? 0 },
    connectMs,
    tls: socket instanceof TLSSocket ? { ...factsOf(socket), handshakeMs } : undefined,
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

/** Waits for a socket to be open; destroys it when that takes too long or is not wanted any more. */
async function opened(socket: Socket, event: string, { connectTimeoutMs, signal }: SocketOptions): Promise<void> {
  const late =
    connectTimeoutMs === undefined
      ? undefined
      : setTimeout(() => socket.destroy(new Error(`no connection within ${connectTimeoutMs} ms`)), connectTimeoutMs);
  const stop = () => socket.destroy(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await once(socket, event);
  } finally {
    clearTimeout(late);
    signal?.removeEventListener('abort', stop);
  }
}

function factsOf(socket: TLSSocket): Omit<TlsFacts, 'handshakeMs'> {
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    certificate: socket.getPeerCertificate(),
    // A code or an error, whatever the types say; null when the certificate is trusted.
    distrust: socket.authorized ? null : describeError(socket.authorizationError ?? 'not trusted'),
  };
}
