/** A loopback address that this process shares with few others, so that runs beside each other keep their relay ports. */
export function ownAddress(last: number): string {
  return `127.96.${64 + (process.pid % 190)}.${last}`;
}
