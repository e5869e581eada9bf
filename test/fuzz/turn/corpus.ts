import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the corpus lies: a file for each source, a message a line, `<name> <hex>`. `record.ts` writes it. */
export const CORPUS_FOLDER = join(import.meta.dirname, 'corpus');

/** Every message of the corpus: STUN messages and ChannelData, whole. */
export function readCorpus(): Buffer[] {
  return readdirSync(CORPUS_FOLDER)
    .filter((file) => file.endsWith('.hex'))
    .sort()
    .flatMap((file) => readFileSync(join(CORPUS_FOLDER, file), 'utf8').trim().split('\n'))
    .map((line) => Buffer.from(line.slice(line.lastIndexOf(' ') + 1), 'hex'));
}
