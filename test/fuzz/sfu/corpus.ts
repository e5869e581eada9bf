import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the corpus lies: a session a file. `record.ts` writes it. */
export const CORPUS_FOLDER = join(import.meta.dirname, 'corpus');

/** What one client sent to the SFU while it published, or while it only listened. */
export interface Session {
  /** Descriptions, as in their frames. */
  readonly offers: readonly string[];
  readonly answers: readonly string[];
  /** Candidate lines, as in their frames. */
  readonly candidates: readonly string[];
  /** In hexadecimal digits, decrypted; long packets are cut. */
  readonly rtp: readonly string[];
  readonly rtcp: readonly string[];
}

/** The sessions of the corpus by name. */
export function readSessions(): Map<string, Session> {
  const files = readdirSync(CORPUS_FOLDER).sort();
  return new Map(
    files.map((file) => [
      file.replace('.json', ''),
      JSON.parse(readFileSync(join(CORPUS_FOLDER, file), 'utf8')) as Session,
    ]),
  );
}
