import { InvalidArgumentError } from 'commander';
import type { z } from 'zod';

/** Parser of a whole-number option between `min` and `max`. */
export function integerOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max || text.trim() === '')
      throw new InvalidArgumentError(`Use a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Parser of a text option or argument that a schema must accept. */
export function schemaOption<T extends string>(schema: z.ZodType<T>): (text: string) => T {
  return (text) => {
    const result = schema.safeParse(text);
    if (!result.success) throw new InvalidArgumentError(`${result.error.issues.map((i) => i.message).join('; ')}.`);
    return result.data;
  };
}

/** Parser of an option that may be given several times. */
export function collectOption(text: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), text];
}

/** Text below a command's help that shows how it is used. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}
