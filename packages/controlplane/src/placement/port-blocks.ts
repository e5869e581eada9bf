/** Ports `start` to `end`, both included. */
export interface PortBlock {
  start: number;
  end: number;
}

/** A range without some of its ports, in ranges that each leave nothing out. */
export function without(range: PortBlock, ports: readonly number[]): PortBlock[] {
  let { start } = range;
  const parts: PortBlock[] = [];
  for (const port of [...ports].sort((a, b) => a - b)) {
    if (port < start || port > range.end) continue;
    parts.push({ start, end: port - 1 });
    start = port + 1;
  }
  return [...parts, { start, end: range.end }].filter((part) => part.start <= part.end);
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

/** How many blocks of `size` ports inside `range` overlap none of `used`, placed as `freeBlock` places them. */
export function countFree(range: PortBlock, size: number, used: readonly PortBlock[]): number {
  const starts = Array.from({ length: blocksIn(range, size) }, (_, index) => range.start + index * size);
  return starts.filter((start) => freeBlock({ start, end: start + size - 1 }, size, used) !== null).length;
}
