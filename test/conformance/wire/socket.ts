import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Endpoint } from './stun.ts';

export type Transport = 'udp' | 'tcp' | 'tls';

/** A way to a server: bytes out, packets in. */
export interface WireSocket {
  readonly local: Endpoint;
  /** Resolves when the socket is gone, whoever ended it. */
  readonly closed: Promise<void>;
  /** ALPN that a TLS server chose. */
  readonly alpn: string | undefined;
  send(bytes: Uint8Array): void;
  close(): Promise<void>;
}

/** Opens a socket; `onPacket` gets each datagram, or each whole frame of a stream. */
export function openSocket(
  transport: Transport,
  server: Endpoint,
  localAddress: string,
  onPacket: (packet: Buffer) => void,
): Promise<WireSocket> {
  return transport === 'udp'
    ? openUdp(server, localAddress, onPacket)
    : openStream(transport, server, localAddress, onPacket);
}

async function openUdp(server: Endpoint, localAddress: string, onPacket: (packet: Buffer) => void) {
  const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4');
  const closed = once(socket, 'close').then(() => undefined);
  socket.bind({ address: localAddress, port: 0 });
  await once(socket, 'listening');
  socket.on('error', () => undefined);
  socket.on('message', onPacket);
  let open = true;
  return {
    local: { address: localAddress, port: socket.address().port },
    closed,
    alpn: undefined,
    send: (bytes: Uint8Array) => socket.send(bytes, server.port, server.address),
    close: () => {
      if (open) socket.close();
      open = false;
      return closed;
    },
  };
}

async function openStream(
  transport: 'tcp' | 'tls',
  server: Endpoint,
  localAddress: string,
  onPacket: (packet: Buffer) => void,
): Promise<WireSocket> {
  const where = { host: server.address, port: server.port, localAddress };
  const tls =
    transport === 'tls' ? connectTls({ ...where, rejectUnauthorized: false, ALPNProtocols: ['stun.turn'] }) : undefined;
  const socket: Socket = tls ?? connectTcp(where);
  await once(socket, tls ? 'secureConnect' : 'connect');
  socket.setNoDelay(true);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  let pending: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (let size = frameSize(pending); size !== undefined && size <= pending.length; size = frameSize(pending)) {
      onPacket(pending.subarray(0, size));
      pending = pending.subarray(size);
    }
  });
  return {
    local: { address: localAddress, port: socket.localPort as number },
    closed,
    alpn: tls?.alpnProtocol || undefined,
    send: (bytes) => socket.write(bytes),
    close: () => {
      socket.destroy();
      return closed;
    },
  };
}

/** Bytes of the frame that a stream goes on with; undefined while too little of it is here. */
function frameSize(bytes: Buffer): number | undefined {
  if (bytes.length < 4) return undefined;
  const length = bytes.readUInt16BE(2);
  // ChannelData is padded to four bytes on a stream (RFC 8656 section 12.5); a STUN message is always a multiple.
  return (bytes[0] as number) >> 6 === 1 ? 4 + length + ((4 - (length % 4)) % 4) : 20 + length;
}
