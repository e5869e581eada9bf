/** One thing that the doctor looked at. */
export interface Line {
  /** Stable: `node`, `native:better-sqlite3`, `ports`, `cluster`, `store`, the id of a check of the inspector, `call`. */
  id: string;
  /** `skipped`: it could not be looked at, because of another line that failed. */
  state: 'passed' | 'warning' | 'failed' | 'skipped';
  seen: string;
  /** What mends it. */
  mend?: string;
}

export const passed = (id: string, seen: string): Line => ({ id, state: 'passed', seen });
export const failed = (id: string, seen: string, mend: string): Line => ({ id, state: 'failed', seen, mend });
export const skipped = (id: string, seen: string): Line => ({ id, state: 'skipped', seen });
