const ASPECT = 16 / 9;

/**
 * How wide each of `count` tiles of 16:9 can be in a box, in CSS pixels, at its best number of columns.
 * @param gap space between tiles
 */
export function tileWidth(count: number, width: number, height: number, gap: number): number {
  let best = 0;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const byWidth = (width - gap * (columns - 1)) / columns;
    const byHeight = ((height - gap * (rows - 1)) / rows) * ASPECT;
    best = Math.max(best, Math.min(byWidth, byHeight));
  }
  return Math.floor(best);
}
