/** Ports `start` to `end`, both included. */
export interface PortBlock {
  start: number;
  end: number;
}

/** How many blocks of `size` a range holds. */
export function blocksIn(range: PortBlock, size: number): number {
  return Math.floor((range.end - range.start + 1) / size);
}

/**
 * The lowest block of `size` ports inside `range`, counted from its start, that overlaps none of `used`; null when
 * there is none. Blocks in use may have other sizes: the configuration may have changed since.
 */
export function freeBlock(range: PortBlock, size: number, used: readonly PortBlock[]): PortBlock | null {
  for (let start = range.start; start + size - 1 <= range.end; start += size) {
    const end = start + size - 1;
    if (!used.some((block) => block.start <= end && block.end >= start)) return { start, end };
  }
  return null;
}
