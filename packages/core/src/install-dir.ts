import { join } from 'node:path';

/**
 * The checkout or release that this program belongs to, where it finds what is no code: migrations, the call page, other
 * programs. It is three folders up from here as a source, and from a bundle, `cmd/<program>/dist`.
 */
export const INSTALL_DIR: string = join(import.meta.dirname, '../../..');
