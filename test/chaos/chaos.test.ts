import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const PROGRAM = join(import.meta.dirname, 'main.ts');

test('a cluster to which things are done for five minutes keeps every promise', async () => {
  const child = spawn(process.execPath, ['--conditions=source', PROGRAM, '--minutes', '5'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  onTestFinished(() => void child.kill());
  const [code] = await once(child, 'exit');
  expect(code, 'the seed is printed above').toBe(0);
});
