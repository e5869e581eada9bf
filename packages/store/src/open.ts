import type { StoreConfig } from '@orama/protocol';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';
import { SqliteDatabase } from './sqlite.ts';

/** Opens the configured store and brings its schema up to date. Throws StoreUnavailableError or ConfigError. */
export async function openStore(config: StoreConfig): Promise<Database> {
  const db = new SqliteDatabase(config.file);
  try {
    await migrate(db);
  } catch (thrown) {
    await db.close();
    throw thrown;
  }
  return db;
}
