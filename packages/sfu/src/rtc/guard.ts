/**
 * Wraps a callback for node-datachannel, which ends the process on any throw inside one.
 * After `isClosed()` nothing is called any more.
 */
export function guard<A extends unknown[]>(
  isClosed: () => boolean,
  onFault: (thrown: unknown) => void,
  run: (...args: A) => void,
): (...args: A) => void {
  return (...args) => {
    if (isClosed()) return;
    try {
      run(...args);
    } catch (thrown) {
      try {
        onFault(thrown);
      } catch {
        // Nothing may leave this function.
      }
    }
  };
}
