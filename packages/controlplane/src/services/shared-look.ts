/**
 * `look`, with one run at a time: whoever asks while one is under way shares the next with all others who do, so that
 * nobody is told what was seen before it asked.
 */
export function sharedLook<T>(look: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | null = null;
  return () => {
    next ??= underWay.then(() => {
      next = null;
      const running = look();
      underWay = running.catch(() => {});
      return running;
    });
    return next;
  };
}
