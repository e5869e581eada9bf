import type { Logger, OtherLoop } from '@orama/core';
import type { BugLog } from '../bug-log.ts';
import type { DropCounters } from '../relay/relay.ts';
import { hostKey, type IcmpError, ipv6ToBytes } from '../stun/index.ts';

/** Somebody's address in every form that a packet path needs. Made once for a host, not for a packet. */
export class HostAddress {
  readonly text: string;
  /** Number for IPv4, text for IPv6. */
  readonly key: number | string;
  /** Sixteen bytes of an IPv6 address. */
  readonly bytes: Uint8Array | undefined;

  /** @param text an IP address */
  constructor(text: string) {
    this.text = text;
    this.key = hostKey(text);
    this.bytes = typeof this.key === 'number' ? undefined : ipv6ToBytes(text);
  }
}

/**
 * Takes one datagram, the first `bytes` of `buffer`, and who sent it; `host` as `hostKey` names it. What lies behind it is
 * nobody's: a buffer of its own for each datagram would be the only garbage of a packet's way. The bytes are the
 * receiver's until it returns, and the next datagram's afterwards. An error it throws costs that datagram and is reported.
 */
export type OnDatagram = (buffer: Buffer, bytes: number, host: number | string, port: number) => void;

/** Takes an ICMP error that a datagram to `host` and `port` brought about; `host` as `hostKey` names it. */
export type OnIcmp = (host: number | string, port: number, error: IcmpError) => void;

export interface UdpSocketOptions {
  /** IPv4 or IPv6 address of ours. */
  address: string;
  port: number;
  onDatagram: OnDatagram;
  /** Asks for ICMP errors, which not all sockets can tell of. */
  onIcmp?: OnIcmp;
  /** Lets other threads bind the same address and port; the system spreads the senders over them. */
  reusePort?: boolean;
  /** Asked of the system, which may give less. */
  receiveBufferBytes?: number;
  /** Bytes that may wait to be sent before datagrams are dropped. */
  sendQueueMaxBytes: number;
}

/** One bound UDP socket. A datagram that cannot be sent is dropped and counted, as UDP may. */
export interface UdpSocket {
  /** The bound port; the system's choice when 0 was asked for. */
  readonly port: number;
  /** Sends `buffer` from `start` to `end`. The caller has its bytes back when this returns. */
  send(buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void;
  /** Sends as `send` does, with the DF bit set: what does not fit the path MTU is dropped, never fragmented. */
  sendWithDf(buffer: Buffer, start: number, end: number, to: HostAddress, port: number): void;
  /** Sends the first `headerBytes` (at most 64) of `header`, the first `dataBytes` of `data` and 0 to 3 zero bytes as one. */
  sendFramed(
    header: Buffer,
    headerBytes: number,
    data: Buffer,
    dataBytes: number,
    paddingBytes: number,
    to: HostAddress,
    port: number,
  ): void;
  /** Resolves when the port is free. No datagram is handed over any more from this call on. */
  close(): Promise<void>;
}

/** Makes the UDP sockets of one worker. */
export type MakeSockets = (drops: DropCounters, bugs: BugLog, logger: Logger) => UdpSockets;

/**
 * A way of having UDP sockets. The loop that looks for datagrams may be one of its own; `standstill` is then the longest time of
 * each of its turns in which it did not look.
 */
export interface UdpSockets extends OtherLoop {
  /** Binds a socket. Rejects with the system's error (`code` EADDRINUSE when somebody else has the port). */
  open(options: UdpSocketOptions): Promise<UdpSocket>;
  /** Whether `sendWithDf` sends anything: it needs a socket option that Node does not offer. */
  readonly canSetDf: boolean;
  /** Another number whenever receiving begins anew: what changes slowly need not be asked for each datagram. */
  readonly turn: number;
  /** Gives back what the sockets share. They are closed before. */
  close(): Promise<void>;
}
