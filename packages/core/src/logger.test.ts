import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** Runs log calls in a process of their own; the lines it wrote. */
function lines(calls: string): Record<string, unknown>[] {
  const program = `
    import { createLogger } from ${JSON.stringify(import.meta.resolve('./logger.ts'))};
    const logger = createLogger({ svc: 'test' });
    ${calls}`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('createLogger hides fields with secret names, three deep, and leaves the object as it was', () => {
  const [line, after] = lines(`
    const fields = { a: 1, secret: 's', deep: { token: 't', deeper: { password: 'p', b: 2 } }, list: [{ key: 'k' }] };
    logger.info(fields, 'hello');
    logger.info({ copy: JSON.stringify(fields) }, 'after');
  `);
  const hidden = '[redacted]';
  expect(line).toMatchObject({
    a: 1,
    secret: hidden,
    deep: { token: hidden, deeper: { password: hidden, b: 2 } },
    list: [{ key: hidden }],
  });
  expect(after?.copy).toContain('"password":"p"');
});

test('createLogger hides them in the fields of a child and of its children', () => {
  const [line] = lines("logger.child({ apiKey: 'k', ns: 'demo' }).child({ a: { credential: 'c' } }).info('hello');");
  expect(line).toMatchObject({ apiKey: '[redacted]', ns: 'demo', a: { credential: '[redacted]' } });
});

test('createLogger hides them in an error, which keeps message and stack', () => {
  const [line] = lines("logger.warn({ err: Object.assign(new Error('boom'), { key: 'k', code: 'E' }) }, 'failed');");
  expect(line).toMatchObject({ err: { message: 'boom', code: 'E', key: '[redacted]' } });
  expect((line?.err as { stack: string } | undefined)?.stack).toContain('Error: boom');
});

test('createLogger tells the journal how grave a line is, and nobody else', () => {
  const program = (journal: string) => `
    import { fstatSync } from 'node:fs';
    import { createLogger } from ${JSON.stringify(import.meta.resolve('./logger.ts'))};
    const { dev, ino } = fstatSync(1);
    process.env.JOURNAL_STREAM = ${journal};
    const logger = createLogger({ svc: 'test', level: 'trace' });
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) logger.child({ a: 1 })[level]('hello');`;
  const heads = (journal: string) => {
    const args = ['--input-type=module', '-e', program(journal)];
    return spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout.match(/^[^{]*(?=\{)/gm);
  };
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a part of the program
  expect(heads('`${dev}:${ino}`')).toEqual(['<7>', '<7>', '<6>', '<4>', '<3>', '<2>']);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a part of the program
  expect(heads('`${dev}:${ino}0`')).toEqual(['', '', '', '', '', '']);
});
