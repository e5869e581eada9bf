import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { canonicalIp } from '@orama/protocol';

export interface SocketInfo {
  protocol: 'udp' | 'tcp';
  local: { address: string; port: number };
  remote: { address: string; port: number };
  /** Whether a TCP socket listens; UDP sockets always count as listening. */
  listening: boolean;
  /** User id of its owner. */
  uid: number;
  inode: string;
}

const TCP_LISTEN = '0A';

/** `0100007F` → `127.0.0.1`: the kernel prints addresses as 32-bit words in the machine's byte order. */
function parseAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)));
  if (bytes.length === 4) return bytes.join('.');
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (mapped) return bytes.slice(12).join('.');
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16));
  return canonicalIp(groups.join(':'));
}

function parseEndpoint(text: string): { address: string; port: number } {
  const [address, port] = text.split(':') as [string, string];
  return { address: parseAddress(address), port: Number.parseInt(port, 16) };
}

/** Every UDP and TCP socket of this network namespace, IPv4 and IPv6. */
export function listSockets(): SocketInfo[] {
  return (['udp', 'udp6', 'tcp', 'tcp6'] as const).flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'latin1')
      .split('\n')
      .slice(1)
      .filter((line) => line.trim() !== '')
      .map((line) => {
        const fields = line.trim().split(/\s+/) as string[];
        const protocol = table.startsWith('udp') ? 'udp' : 'tcp';
        return {
          protocol,
          local: parseEndpoint(fields[1] as string),
          remote: parseEndpoint(fields[2] as string),
          listening: protocol === 'udp' || fields[3] === TCP_LISTEN,
          uid: Number(fields[7]),
          inode: fields[9] as string,
        };
      }),
  );
}

/** Inodes of the sockets that a process holds. Throws for a process that is gone or belongs to somebody else. */
export function socketInodesOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode) inodes.add(inode);
    } catch {
      // The descriptor was closed between the listing and the look.
    }
  }
  return inodes;
}

/** The UDP and TCP sockets that a process holds. */
export function socketsOf(pid: number): SocketInfo[] {
  const inodes = socketInodesOf(pid);
  return listSockets().filter((socket) => inodes.has(socket.inode));
}

/** `udp 127.0.0.1:53`, for messages. */
export function showSocket(socket: SocketInfo): string {
  return `${socket.protocol} ${socket.local.address}:${socket.local.port}`;
}
