import type { Random } from '../../support/random.ts';

/** Words at which readers of text go wrong. */
const WORDS = [
  ...['', ' ', '0', '-1', '1', '127', '128', '255', '256', '65535', '65536', '4294967295', '4294967296', '1e9', 'NaN'],
  ...['null', 'undefined', '__proto__', 'constructor', 'toString', '*', '~', ';', '/', ',', '=', ':', '%00', '\u0000'],
  ...['s0', 's-data', 'media', '0.0.0.0', '::1', 'x'.repeat(300), '\u{1f600}', 'é', 'rtx', 'red', 'VP8', 'sendrecv'],
];
/** As much as a description may be. */
const MAX_TEXT = 300_000;

/** Changes a session description line by line, or characters of it. */
export function mutateSdp(sdp: string, corpus: readonly string[], random: Random): string {
  let lines = sdp.split('\r\n');
  for (let n = 1 + random.below(4); n > 0; n--) lines = mutateLines(lines, corpus, random);
  const end = random.chance(95) ? '\r\n' : random.pick(['\n', '\r', '\n\n']);
  return lines.join(end).slice(0, MAX_TEXT);
}

function mutateLines(lines: string[], corpus: readonly string[], random: Random): string[] {
  const at = random.below(Math.max(1, lines.length));
  const line = lines[at] ?? '';
  switch (random.below(12)) {
    case 0:
      return lines.toSpliced(at, 1);
    case 1:
      return lines.toSpliced(at, 0, ...new Array<string>(random.pick([1, 1, 2, 70, 300])).fill(line));
    case 2: // Another place.
      return lines.toSpliced(at, 1).toSpliced(random.below(lines.length), 0, line);
    case 3: // Lines of another description.
      return lines.toSpliced(at, 0, ...sliceOf(random.pick(corpus).split('\r\n'), random));
    case 4: // An m-section twice, or very often.
      return [...lines, ...new Array<string[]>(random.pick([1, 1, 3, 70])).fill(sectionAt(lines, at)).flat()];
    case 5: // An m-section away.
      return lines.filter((other) => !sectionAt(lines, at).includes(other));
    case 6: // Directions, ports and mids.
      return lines.map((other) =>
        random.chance(70)
          ? other
          : other
              .replace(
                /^a=(?:sendrecv|sendonly|recvonly|inactive)$/,
                `a=${random.pick(['sendrecv', 'sendonly', 'recvonly', 'inactive'])}`,
              )
              .replace(/^(m=\w+) \d+/, `$1 ${random.pick([0, 9, 9, 65536])}`),
      );
    case 7:
      return lines.map((other) =>
        other.replace(/^a=mid:.*$/, (mid) => (random.chance(80) ? mid : `a=mid:${random.pick(WORDS)}`)),
      );
    case 8: // Numbers everywhere.
      return lines.map((other) => (random.chance(90) ? other : other.replace(/\d+/, random.pick(WORDS))));
    default:
      return lines.toSpliced(at, 1, mutateWords(line, random));
  }
}

/** Changes one word of a line, or characters of it. */
export function mutateWords(line: string, random: Random): string {
  if (random.chance(25)) return mutateCharacters(line, random);
  const words = line.split(/([ :=;/,&])/);
  const at = random.below(words.length);
  const change = random.below(4);
  if (change === 0) return words.toSpliced(at, 1).join('');
  if (change === 1) return words.toSpliced(at, 0, words[at] ?? '', ' ').join('');
  return words.with(at, random.pick(WORDS)).join('');
}

/** Changes characters without looking at what they mean. */
export function mutateCharacters(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  switch (random.below(4)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + random.pick(WORDS) + text.slice(at);
    case 2:
      return text.slice(0, at) + String.fromCharCode(random.below(300)) + text.slice(at + 1);
    default:
      return text.slice(0, at) + text.slice(at + 1 + random.below(10));
  }
}

/** Values at which readers of JSON go wrong. */
function anyValue(random: Random): unknown {
  return random.pick<unknown>([
    ...[null, true, false, 0, -1, 1, 1.5, 2 ** 31, 2 ** 53, -0, 1e308, '', 'x', [], {}, [[]], [null], { type: 'join' }],
    random.pick(WORDS),
    'y'.repeat(random.pick([10, 129, 1025, 5_000, 70_000])),
    nested(random.pick([5, 31, 33, 2_000])),
    new Array(random.pick([4, 65, 5_000])).fill({ mid: '0', rid: 'q' }),
  ]);
}

function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let n = 0; n < depth; n++) value = n % 2 === 0 ? [value] : { a: value };
  return value;
}

/** Changes an object's members: others, none, or of another type. */
export function mutateObject(object: object, random: Random): object {
  const mutant: Record<string, unknown> = { ...object };
  for (let n = 1 + random.below(2); n > 0; n--) {
    const names = Object.keys(mutant);
    const name = random.pick(names.length > 0 ? names : ['type']);
    const value = mutant[name];
    switch (random.below(5)) {
      case 0:
        delete mutant[name];
        break;
      case 1:
        mutant[random.pick(WORDS)] = anyValue(random);
        break;
      case 2:
        if (typeof value === 'object' && value !== null) mutant[name] = mutateNested(value, random);
        else mutant[name] = anyValue(random);
        break;
      case 3:
        if (typeof value === 'string') mutant[name] = mutateWords(value, random);
        else mutant[name] = anyValue(random);
        break;
      default:
        mutant[name] = anyValue(random);
    }
  }
  return mutant;
}

function mutateNested(value: object, random: Random): unknown {
  if (!Array.isArray(value)) return mutateObject(value, random);
  const at = random.below(Math.max(1, value.length));
  const item: unknown = value[at];
  return value.toSpliced(
    at,
    1,
    typeof item === 'object' && item !== null ? mutateObject(item, random) : anyValue(random),
  );
}

function sectionAt(lines: readonly string[], at: number): string[] {
  let start = Math.min(at, lines.length - 1);
  while (start > 0 && !lines[start]?.startsWith('m=')) start--;
  const next = lines.findIndex((line, index) => index > start && line.startsWith('m='));
  return lines.slice(start, next < 0 ? undefined : next);
}

function sliceOf(lines: readonly string[], random: Random): string[] {
  const at = random.below(lines.length);
  return lines.slice(at, at + 1 + random.below(12));
}
