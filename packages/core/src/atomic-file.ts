import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Writes a file whole: temporary file beside it, fsync, rename, fsync of the folder. Readers see the old or the new
 * content, never a part. It has the mode that is asked, whatever the umask; missing folders are made with mode 0700, or 0755
 * for a file that is for everybody. What root writes and makes belongs to whom the folder
 * belongs: a controlplane writes for services that run as another user.
 */
export async function writeFileAtomic(path: string, content: string, mode = 0o600): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder, mode & 0o004 ? 0o755 : 0o700);
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      // First: what belongs to another is no longer changed without CAP_FOWNER, which a controlplane has not.
      await file.chmod(mode);
      const owner = await ownerToGive(folder);
      if (owner) await file.chown(owner.uid, owner.gid);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function makeFolder(folder: string, mode: number): Promise<void> {
  try {
    await mkdir(folder, { mode });
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT') throw thrown;
    await makeFolder(dirname(folder), mode);
    return makeFolder(folder, mode);
  }
  await chmod(folder, mode);
  const owner = await ownerToGive(dirname(folder));
  if (owner) await chown(folder, owner.uid, owner.gid);
}

/** Whom root gives what it makes in a folder; undefined where that is who we are already. */
async function ownerToGive(folder: string): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(folder);
  return uid === 0 ? undefined : { uid, gid };
}

/**
 * Removes what writers that were killed left below a folder: temporary files of `writeFileAtomic` whose process is gone.
 * They may hold secrets. A folder that does not exist has none.
 */
export async function removeAbandonedFiles(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const writer = /\.(\d+)\.[0-9a-f]{8}\.tmp$/.exec(entry.name)?.[1];
    if (!entry.isFile() || writer === undefined || isRunning(Number(writer))) continue;
    await rm(join(entry.parentPath, entry.name), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}
