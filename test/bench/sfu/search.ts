const STEP = 20_000;
const PRECISION = 10_000;

/**
 * The highest rate that is carried, in steps of 10,000 from near `guess` up or down; 0 when not even the least is.
 * @param carried asked for one rate after the other, few of them far above what is carried
 */
export async function highestCarried(
  carried: (rate: number) => Promise<boolean>,
  guess: number,
  most: number,
): Promise<number> {
  let best = Math.min(most, Math.max(PRECISION, Math.round(guess / PRECISION) * PRECISION));
  if (await carried(best)) {
    while (best + STEP <= most && (await carried(best + STEP))) best += STEP;
  } else {
    do best -= STEP;
    while (best > 0 && !(await carried(best)));
    best = Math.max(0, best);
  }
  return best + PRECISION <= most && (await carried(best + PRECISION)) ? best + PRECISION : best;
}
