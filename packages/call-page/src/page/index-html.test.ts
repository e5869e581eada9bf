import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const page = readFileSync(join(import.meta.dirname, 'index.html'), 'utf8');
const ids = [...page.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
const scripts = globSync('**/*.ts', { cwd: import.meta.dirname, exclude: ['**/*.test.ts'] }).map((path) =>
  readFileSync(join(import.meta.dirname, path), 'utf8'),
);

test('no two elements share an id', () => expect(new Set(ids).size).toBe(ids.length));

test('every element that the scripts ask for is there', () => {
  const asked = scripts.flatMap((text) =>
    [...text.matchAll(/\b(?:element(?:<\w+>)?|onClick)\('([^']+)'/g)].map(([, id]) => id),
  );
  expect(asked).toContain('leave');
  expect(asked.filter((id) => !ids.includes(id))).toEqual([]);
});

test('nothing inline that a strict Content-Security-Policy refuses', () => {
  expect(page).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|href="data:|src="data:/);
});
