import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientFrameSchema, SIGNALLING_CLOSE, serverFrameSchema, usageSchema } from '@orama/protocol';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';

const page = readFileSync(join(import.meta.dirname, '../../docs/protocol.md'), 'utf8');

/** The part of the page below a `###` heading, by its frames: type → JSON example. */
function examplesBelow(heading: string): Map<string, Record<string, unknown>> {
  const section = page.split(`### ${heading}\n`)[1]?.split(/^### /m)[0];
  if (section === undefined) throw new Error(`docs/protocol.md has no heading "${heading}"`);
  const examples = new Map<string, Record<string, unknown>>();
  for (const part of section.split(/^#### /m).slice(1)) {
    const type = /^`([a-z-]+)`\n/.exec(part)?.[1];
    const json = /```json\n(.*)\n```/.exec(part)?.[1];
    if (!type || !json) throw new Error(`no heading or example in: ${part.slice(0, 60)}`);
    examples.set(type, JSON.parse(json) as Record<string, unknown>);
  }
  return examples;
}

type FrameUnion = z.ZodDiscriminatedUnion<readonly z.ZodObject[]>;

function fieldsByType(union: FrameUnion): Map<string, string[]> {
  return new Map(
    union.options.map((option) => {
      const type = (option.shape.type as unknown as z.ZodLiteral<string>).value;
      return [type, Object.keys(option.shape).sort()];
    }),
  );
}

describe.each([
  ['Frames from client to SFU', clientFrameSchema as unknown as FrameUnion],
  ['Frames from SFU to client', serverFrameSchema as unknown as FrameUnion],
])('docs/protocol.md, %s', (heading, schema) => {
  const examples = examplesBelow(heading);
  const fields = fieldsByType(schema);

  it('describes every frame of the schema and no other', () => {
    expect([...examples.keys()].sort()).toEqual([...fields.keys()].sort());
  });

  it.each([...fields])('shows every field of %s in an example that parses', (type, names) => {
    const example = examples.get(type);
    expect(Object.keys(example ?? {}).sort()).toEqual(names);
    expect(schema.safeParse(example).error?.issues ?? []).toEqual([]);
  });
});

it('docs/protocol.md lists every close code of the schema and no other', () => {
  const table = page.split('| close code |')[1]?.split('\n\n')[0] ?? '';
  const listed = [...table.matchAll(/^\| (\d{4}) \|/gm)].map(([, code]) => Number(code));
  expect(listed.sort()).toEqual(Object.values(SIGNALLING_CLOSE).sort());
});

it('docs/protocol.md shows every field of the usage answer in an example that parses', () => {
  const text = /^Usage,.*\n\n```json\n(.*)\n```/m.exec(page)?.[1] ?? '';
  const example = JSON.parse(text) as Record<string, unknown>;
  expect(usageSchema.parse(example)).toEqual(example);
  expect(Object.keys(example).sort()).toEqual(Object.keys(usageSchema.shape).sort());
});
