import type { Context } from '../context.ts';
import type { Demo } from './prepare.ts';

export async function checkDemo(
  _context: Context,
  _demo: Demo,
  _options: object,
  _signal: AbortSignal,
): Promise<void> {}
