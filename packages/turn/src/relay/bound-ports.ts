/** Of 32 bits. */
const WORDS = 65_536 / 32;

/** By relay address: a bit for each of its ports. It can be sent to a thread. */
export type BoundPortsMemory = Readonly<Record<string, Int32Array<SharedArrayBuffer>>>;

/** Ports of one address. */
export interface PortSet {
  has(port: number): boolean;
}

class PortBits implements PortSet {
  readonly memory: Int32Array<SharedArrayBuffer>;

  constructor(memory: Int32Array<SharedArrayBuffer>) {
    this.memory = memory;
  }

  add(port: number): void {
    Atomics.or(this.memory, port >>> 5, 1 << (port & 31));
  }

  delete(port: number): void {
    Atomics.and(this.memory, port >>> 5, ~(1 << (port & 31)));
  }

  /** Asked for single packets. */
  has(port: number): boolean {
    return ((this.memory[port >>> 5] as number) & (1 << (port & 31))) !== 0;
  }
}

/**
 * The ports that this node's relay has open sockets on, by address, in memory that its workers share. What one client may
 * send to another's relayed address is judged by it, for any other socket on that address is somebody else's. A port is in
 * it from after its socket is bound until before that is closed: so whoever is not us never has one that is.
 */
export class BoundPorts {
  readonly #byAddress = new Map<string, PortBits>();

  /** The memory of these addresses, for the other workers; made where there is none. */
  memoryOf(addresses: readonly string[]): BoundPortsMemory {
    return Object.fromEntries(addresses.map((address) => [address, this.at(address).memory]));
  }

  /** Takes the memory that all workers share. Told again of an address, it keeps what it has. */
  share(memory: BoundPortsMemory): void {
    for (const [address, words] of Object.entries(memory)) {
      if (!this.#byAddress.has(address)) this.#byAddress.set(address, new PortBits(words));
    }
  }

  /** The ports of one address, spelled as it is configured. */
  at(address: string): PortBits {
    let ports = this.#byAddress.get(address);
    if (ports === undefined) {
      ports = new PortBits(new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT)));
      this.#byAddress.set(address, ports);
    }
    return ports;
  }
}
