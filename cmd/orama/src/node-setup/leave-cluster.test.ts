import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OramaError } from '@orama/core';
import type { NodeView } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Progress } from '../output/progress.ts';
import { leaveByConsent } from './leave-cluster.ts';

const PROGRESS = { step: () => {}, update: () => {} } as unknown as Progress;
const NOBODY = new OramaError('UNAVAILABLE', 'nobody answers', { retryable: true });
const REFUSED = new OramaError('CONFLICT', 'the SFU of myapp is on it');

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orama-leave-'));
  file = join(folder, 'left');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the cluster says of node-2, look after look; and what it answers when it is to let go of it. */
function leave(looks: (NodeView['state'] | null)[], removed: OramaError | null = null): Promise<void> {
  const client = {
    nodes: async () => {
      const state = looks.shift();
      if (!state) throw NOBODY;
      return [view('node-1', 'active'), view('node-2', state)];
    },
    removeNode: async (node: string) => {
      expect(note()).toBe('asked');
      if (removed) throw removed;
      return { node, outcome: 'changed' as const, message: '' };
    },
  };
  return leaveByConsent('node-2', client as Parameters<typeof leaveByConsent>[1], PROGRESS, file);
}

function view(id: string, state: NodeView['state']): NodeView {
  return { id, state } as NodeView;
}

function note(): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

test('a node that was let go goes on leaving, also when it can ask nobody any more', async () => {
  await leave(['draining']);
  expect(note()).toBe('agreed');
  await leave([null]);
  await leave(['gone']);
  expect(note()).toBe('agreed');
});

test.each([null, '', 'asked'])('where nobody answers, a note that says %j is no consent', async (before) => {
  if (before !== null) writeFileSync(file, before);
  await expect(leave([null])).rejects.toMatchObject({ code: 'UNAVAILABLE', hint: expect.stringContaining('--force') });
  expect(note()).toBe(before);
});

test.each(['asked', 'agreed'])(
  'a cluster that has it says what counts now, and not that it once %s',
  async (before) => {
    writeFileSync(file, before);
    await expect(leave(['active'])).rejects.toThrow('node-2 takes part');
    expect(note()).toBeNull();
  },
);

test.each<[string, OramaError, (NodeView['state'] | null)[], string | null]>([
  ['a refusal leaves no note', REFUSED, ['draining'], null],
  ['without an answer it looks again, and has stayed', NOBODY, ['draining', 'draining'], null],
  ['without an answer, and nobody to look with, only that it asked is known', NOBODY, ['draining', null], 'asked'],
])('%s', async (_, thrown, looks, expected) => {
  await expect(leave(looks, thrown)).rejects.toBe(thrown);
  expect(note()).toBe(expected);
});

test('without an answer it looks again, and is gone', async () => {
  await leave(['draining', 'gone'], NOBODY);
  expect(note()).toBe('agreed');
});
