import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fatalReason, LogFollower, tail } from './logs.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orama-logs-'));
  file = join(folder, 'unit.log');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('fatalReason', () => {
  const at = (time: string, level: number, message: string) =>
    `${JSON.stringify({ level, time, msg: 'start failed', err: { message } })}\n`;

  it('answers what the last fatal line says, and nothing older than the process', () => {
    const start = '2026-01-01T00:00:10.000Z';
    writeFileSync(file, at('2026-01-01T00:00:09.000Z', 60, 'an old one'));
    expect(fatalReason(file, Date.parse(start))).toBeUndefined();
    appendFileSync(file, at(start, 60, 'listening failed'));
    appendFileSync(file, at(start, 30, 'a later line'));
    appendFileSync(file, '{"level": 60, "ti');
    expect(fatalReason(file, Date.parse(start))).toBe('listening failed');
    expect(fatalReason(join(folder, 'absent.log'), 0)).toBeUndefined();
  });
});

describe('tail', () => {
  it('answers the last lines and where the file ended', () => {
    writeFileSync(file, 'one\ntwo\nthree\n');
    expect(tail(file, 2)).toEqual({ lines: ['two', 'three'], end: 14 });
    expect(tail(file, 0).lines).toEqual([]);
    expect(tail(join(folder, 'absent.log'), 5)).toEqual({ lines: [], end: 0 });
  });

  it('answers whole lines only of a file that is larger than what it reads', () => {
    const line = 'x'.repeat(999);
    writeFileSync(file, `${line}\n`.repeat(1000));
    const { lines } = tail(file, 10_000);
    expect(lines.length).toBeGreaterThan(200);
    expect(lines.every((each) => each === line)).toBe(true);
  });
});

describe('LogFollower', () => {
  it('answers each whole line once, as it comes', () => {
    writeFileSync(file, 'old\n');
    const follower = new LogFollower(file, 4);
    expect(follower.read()).toEqual([]);
    appendFileSync(file, 'né');
    expect(follower.read()).toEqual([]);
    appendFileSync(file, 'w\nnext\n');
    expect(follower.read()).toEqual(['néw', 'next']);
    expect(follower.read()).toEqual([]);
  });

  it('begins anew when the log was set aside', () => {
    writeFileSync(file, 'a long line of the old log\n');
    const follower = new LogFollower(file, 27);
    writeFileSync(file, 'new\n');
    expect(follower.read()).toEqual(['new']);
  });
});
