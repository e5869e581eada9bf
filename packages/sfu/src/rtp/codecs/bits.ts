/** Reads single bits, most significant first. Behind the end everything is 0, and `overrun` tells it. */
export class BitReader {
  #bytes: Uint8Array = new Uint8Array(0);
  #bit = 0;
  #end = 0;

  /** True once more was read than there is: nothing that was read may be believed. */
  get overrun(): boolean {
    return this.#bit > this.#end;
  }

  /** How many bits are left. */
  get left(): number {
    return Math.max(0, this.#end - this.#bit);
  }

  /** Begins anew with `bytes[start..end)`. */
  load(bytes: Uint8Array, start: number, end: number): this {
    this.#bytes = bytes;
    this.#bit = start * 8;
    this.#end = Math.min(end, bytes.length) * 8;
    return this;
  }

  /** An unsigned number of `count` bits, at most 32. */
  read(count: number): number {
    let value = 0;
    for (let left = count; left > 0; ) {
      const at = this.#bit & 7;
      const taken = Math.min(8 - at, left);
      const byte = this.#bit < this.#end ? (this.#bytes[this.#bit >> 3] as number) : 0;
      value = ((value << taken) | ((byte >> (8 - at - taken)) & ((1 << taken) - 1))) >>> 0;
      this.#bit += taken;
      left -= taken;
    }
    return value;
  }

  flag(): boolean {
    return this.read(1) === 1;
  }

  skip(count: number): void {
    this.#bit += count;
  }

  /** `ns(n)`: a number below `n` in as few bits as possible (AV1 bitstream, section 4.10.7). */
  nonSymmetric(n: number): number {
    const bits = 32 - Math.clz32(n);
    const short = (1 << bits) - n;
    const value = this.read(bits - 1);
    return value < short ? value : (value << 1) - short + this.read(1);
  }

  /** `ue(v)`: unsigned Exp-Golomb (H.264 section 9.1), which AV1 calls `uvlc()`. */
  exponential(): number {
    let zeros = 0;
    while (!this.flag()) if (++zeros > 31 || this.overrun) return 0;
    return 2 ** zeros - 1 + this.read(zeros);
  }
}

/** Writes single bits, most significant first. */
export class BitWriter {
  readonly #bytes: Uint8Array;
  #bit = 0;

  /** @param bytes what is written to; what does not fit is left out */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes that were written to, the last one perhaps in part. */
  get length(): number {
    return (this.#bit + 7) >> 3;
  }

  /** Begins anew, over zeroes. */
  clear(): this {
    this.#bytes.fill(0);
    this.#bit = 0;
    return this;
  }

  /** The low `count` bits of `value`, at most 32. */
  write(value: number, count: number): void {
    for (let i = count - 1; i >= 0; i--, this.#bit++) {
      const at = this.#bit >> 3;
      this.#bytes[at] = (this.#bytes[at] as number) | (((value >>> i) & 1) << (7 - (this.#bit & 7)));
    }
  }

  /** The next `count` bits of `from`. */
  copy(from: BitReader, count: number): void {
    let left = count;
    for (; left > 32; left -= 32) this.write(from.read(32), 32);
    this.write(from.read(left), left);
  }
}
