import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readSamples, type Sample } from './samples.ts';

test('rounds are added to those of a file, or to none where there is no file yet', () => {
  const directory = mkdtempSync(join(tmpdir(), 'samples-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'samples.json');
  expect(readSamples(file)).toEqual([]);
  const samples: Sample[] = [
    { engine: 'x', metric: 'y', value: 1 },
    { engine: 'x', metric: 'y', fault: 'none' },
  ];
  writeFileSync(file, JSON.stringify(samples));
  expect(readSamples(file)).toEqual(samples);
});
