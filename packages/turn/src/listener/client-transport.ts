import type { Allocation, EndReason } from '../allocation/allocation.ts';
import type { ClientSink } from '../relay/relay.ts';

export type TransportProtocol = 'udp' | 'tcp' | 'tls';

/** The client's end of a 5-tuple: how to answer it and, once it has one, its allocation. */
export interface ClientTransport extends ClientSink {
  readonly protocol: TransportProtocol;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Address of ours that the client sends to. */
  readonly localAddress: string;
  /** Our port, where it is one that TURN shares and every server of the cluster has; undefined on ports of its own. */
  readonly sharedPort: number | undefined;
  /** Text that names the 5-tuple, for the control path. */
  readonly id: string;
  /** False once a stream is gone; a UDP client is always open. */
  readonly open: boolean;
  readonly allocation: Allocation | undefined;
  /** True from the moment an Allocate is accepted until it has been answered. */
  allocating: boolean;
  /** Sends one whole STUN message. */
  send(message: Buffer): void;
  /** Gives the 5-tuple its allocation. */
  attach(allocation: Allocation): void;
  /** Takes it away again. A stream may go on to make another, unless it is to be hung up. */
  detach(hangUp: boolean): void;
}

/** What listeners hand over to. No call throws. */
export interface PacketHandler {
  /** One whole STUN packet or frame (top bits 00). Its bytes are the handler's until the call returns. */
  receive(client: ClientTransport, packet: Buffer): void;
  /** The client's stream is gone. */
  clientGone(client: ClientTransport, reason: EndReason): void;
}

/** A bound address that accepts clients. */
export interface Listener {
  readonly protocol: TransportProtocol;
  start(): Promise<void>;
  /** Ends what has been idle or half-read for too long. */
  sweep(): void;
  close(): Promise<void>;
}
