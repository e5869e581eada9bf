import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Database, openStore, raiseChangeCounter, readChangeCounter } from './index.ts';

let dir: string;
let db: Database;
const file = () => join(dir, 'data', 'orama.db');

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'orama-sqlite-'));
  db = await openStore({ driver: 'sqlite', file: file() });
});
afterEach(async () => {
  await db.close();
  rmSync(dir, { recursive: true });
});

it('openStore() creates the file for its owner only', () => {
  expect(statSync(file()).mode & 0o077).toBe(0);
});

describe('a lock that another process holds', () => {
  it('keeps a write waiting, not the event loop, and the write goes through when it is free', async () => {
    const holder = new BetterSqlite3(file());
    holder.exec('BEGIN IMMEDIATE');
    const write = db.batch([raiseChangeCounter]).then(() => 'written');
    let turns = 0;
    while (turns < 20) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    expect(await readChangeCounter(db)).toBe(0);
    expect(await Promise.race([write, Promise.resolve('waiting')])).toBe('waiting');
    holder.exec('COMMIT');
    holder.close();
    expect(await write).toBe('written');
    expect(await readChangeCounter(db)).toBe(1);
  });
});
