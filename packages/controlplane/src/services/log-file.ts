import { type FileHandle, open, rename, stat } from 'node:fs/promises';

/** A log this large is set aside at the unit's next start; one older copy is kept. */
const LOG_MAX_BYTES = 10 * 1024 * 1024;

/** Opens a unit's log for appending, after setting a large one aside as `<path>.1`. */
export async function openLogFile(path: string): Promise<FileHandle> {
  const size = await stat(path).then(
    (info) => info.size,
    () => 0,
  );
  if (size > LOG_MAX_BYTES) await rename(path, `${path}.1`);
  return open(path, 'a', 0o600);
}
