import { describeError } from '@orama/core';

const FAULTS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'files may not be larger here (the file system, or "ulimit -f")',
};

/** Why a file cannot be written, for people. */
export function faultOf(thrown: unknown): string {
  return FAULTS[(thrown as NodeJS.ErrnoException | null)?.code ?? ''] ?? describeError(thrown);
}
