import { readFileSync } from 'node:fs';
import { ConfigError, describeError, readSecretFile } from '@orama/core';
import type { StoreConfig } from '@orama/protocol';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';
import { RqliteDatabase } from './rqlite/rqlite.ts';
import { SqliteDatabase } from './sqlite.ts';

/** Opens the configured store and brings its schema up to date. Throws StoreUnavailableError or ConfigError. */
export async function openStore(config: StoreConfig): Promise<Database> {
  const db = connectStore(config);
  try {
    if (db instanceof RqliteDatabase) await db.requireForeignKeys();
    await migrate(db);
  } catch (thrown) {
    await db.close();
    throw thrown;
  }
  return db;
}

/** The driver of the configured store; nothing is looked at or changed yet. Throws as `openStore` does. */
export function connectStore(config: StoreConfig): SqliteDatabase | RqliteDatabase {
  if (config.driver === 'sqlite') return new SqliteDatabase(config.file);
  const { addresses, learnMembers, credentialsFile, caFile, timeoutMs } = config;
  const credentials = credentialsFile === undefined ? undefined : readSecretFile(credentialsFile);
  if (credentials !== undefined && !/^[^:]+:./s.test(credentials)) {
    throw new ConfigError(`${credentialsFile} does not hold user:password`);
  }
  return new RqliteDatabase({
    addresses,
    learnMembers,
    credentials,
    ca: caFile && readCertificates(caFile),
    timeoutMs,
  });
}

function readCertificates(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new ConfigError(`store.caFile ${file} cannot be read: ${describeError(thrown)}`);
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new ConfigError(`store.caFile ${file} holds no PEM certificate`);
}
