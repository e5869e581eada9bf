import koffi from 'koffi';

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
/** MAP_32BIT, within the lowest two gigabytes: Linux has it on x86-64 alone. */
const MAP_LOW = process.arch === 'x64' ? 0x40 : 0;
const MAP_FAILED = 2n ** 64n - 1n;

/**
 * Zeroed memory with a fixed address, for calls that take addresses as numbers. It is given back when its buffer is
 * collected, so its user must hold on to it. On x86-64 the address is below 2^31: a number like that costs nothing to
 * pass on, while V8 makes an object of every larger one, which was all the garbage of a relayed packet.
 */
export class NativeMemory {
  readonly buffer: ArrayBuffer;
  readonly view: DataView;
  readonly address: number;

  /** Throws the system's error when there is no memory. */
  constructor(bytes: number) {
    Mapping.system ??= new Mapping();
    [this.buffer, this.address] = Mapping.system.map(bytes);
    this.view = new DataView(this.buffer);
  }
}

/** The system's `mmap`, loaded with the first memory that is asked for: other systems than Linux never ask. */
class Mapping {
  static system: Mapping | undefined;
  readonly #mmap: (near: number, bytes: number, access: number, flags: number, file: number, offset: number) => bigint;
  readonly #munmap: (address: number, bytes: number) => number;
  readonly #collected = new FinalizationRegistry<[address: number, bytes: number]>(([address, bytes]) =>
    this.#munmap(address, bytes),
  );

  constructor() {
    const program = koffi.load(null);
    this.#mmap = program.func('void *mmap(uintptr_t, size_t, int, int, int, long)');
    this.#munmap = program.func('int munmap(uintptr_t, size_t)');
  }

  map(bytes: number): [buffer: ArrayBuffer, address: number] {
    const pointer = this.#mmap(0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS | MAP_LOW, -1, 0);
    if (pointer === MAP_FAILED) throw new Error(`mmap: no ${bytes} bytes of memory (errno ${koffi.errno()})`);
    // Addresses of user space have 47 or 48 bits on these machines: a number holds them exactly.
    const address = Number(pointer);
    const buffer = koffi.view(pointer, bytes);
    this.#collected.register(buffer, [address, bytes]);
    return [buffer, address];
  }
}
