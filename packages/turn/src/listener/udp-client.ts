import type { Allocation } from '../allocation/allocation.ts';
import type { IcmpError } from '../stun/index.ts';
import type { HostAddress } from '../udp/udp-socket.ts';
import type { ClientTransport } from './client-transport.ts';
import { icmpIndication } from './data-indication.ts';
import type { UdpListener } from './udp.ts';

/** A client as UDP knows it: an address and port. Made anew for each packet until it has an allocation. */
export class UdpClient implements ClientTransport {
  readonly protocol = 'udp';
  readonly remote: HostAddress;
  readonly remotePort: number;
  readonly #listener: UdpListener;
  #allocation: Allocation | undefined;
  #allocating = false;

  constructor(listener: UdpListener, remote: HostAddress, remotePort: number) {
    this.#listener = listener;
    this.remote = remote;
    this.remotePort = remotePort;
  }

  get remoteAddress(): string {
    return this.remote.text;
  }

  get id(): string {
    return `udp ${this.remoteAddress} ${this.remotePort} ${this.#listener.address} ${this.#listener.port}`;
  }

  get localAddress(): string {
    return this.#listener.address;
  }

  get sharedPort(): undefined {
    return undefined;
  }

  get open(): boolean {
    return true;
  }

  get allocation(): Allocation | undefined {
    return this.#allocation;
  }

  get allocating(): boolean {
    return this.#allocating;
  }

  /** While an allocation is being made the client is remembered, so that a retransmission is seen to be one. */
  set allocating(value: boolean) {
    this.#allocating = value;
    if (value) this.#listener.keep(this);
    else if (this.#allocation === undefined) this.#listener.forget(this);
  }

  attach(allocation: Allocation): void {
    this.#allocation = allocation;
    this.#listener.keep(this);
  }

  detach(): void {
    this.#allocation = undefined;
    this.#listener.forget(this);
  }

  send(message: Buffer): void {
    this.#listener.send(message, this);
  }

  sendChannelData(channel: number, buffer: Buffer, bytes: number): void {
    this.#listener.sendChannelData(this, channel, buffer, bytes);
  }

  sendDataIndication(peerAddress: string, peerPort: number, buffer: Buffer, bytes: number): void {
    this.#listener.sendDataIndication(this, peerAddress, peerPort, buffer, bytes);
  }

  sendIcmpIndication(peerAddress: string, peerPort: number, error: IcmpError): void {
    this.send(icmpIndication(peerAddress, peerPort, error));
  }
}
