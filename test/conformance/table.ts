import type { Verdict } from './judge.ts';
import { CHAPTERS, RULES } from './rules/index.ts';

/** Verdicts of each engine, by its name, in the order of the columns. */
export type Results = ReadonlyMap<string, ReadonlyMap<string, Verdict>>;

/** The whole report as Markdown: how many rules each engine passes, then every rule with every engine's result. */
export function renderTable(results: Results): string {
  const names = [...results.keys()];
  const verdict = (name: string, id: string) => results.get(name)?.get(id)?.result ?? 'not offered';
  const count = (name: string, result: Verdict['result'], level?: string) =>
    RULES.filter((rule) => verdict(name, rule.id) === result && (level === undefined || rule.level === level)).length;
  const row = (...cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
  const head = (...cells: string[]) => [row(...cells), row(...cells.map(() => '---'))];
  return [
    '# TURN conformance',
    '',
    `${RULES.length} rules, each tried over the wire at three servers by \`pnpm conformance\`, which writes this file.`,
    'A rule that needs a transport or an address family that a server does not have is not offered.',
    'ICMP errors are tried where the server has its own sockets; with Node’s it cannot know of them (decision 029).',
    'node-turn is version 0.0.6 with the defects mended that made it unsafe; coturn is Debian’s.',
    '',
    ...head('engine', 'pass', 'fail (MUST)', 'fail (SHOULD)', 'not offered'),
    ...names.map((name) =>
      row(
        name,
        count(name, 'pass'),
        count(name, 'fail', 'MUST'),
        count(name, 'fail', 'SHOULD'),
        count(name, 'not offered'),
      ),
    ),
    ...CHAPTERS.flatMap(({ title, rules }) => [
      '',
      `## ${title}`,
      '',
      ...head('rule', 'source', 'level', 'what it says', ...names),
      ...rules.map(({ id, source, level, says }) => {
        const cells = names.map((name) => (verdict(name, id) === 'fail' ? '**fail**' : verdict(name, id)));
        return row(id, source, level, says, ...cells);
      }),
    ]),
    '',
  ].join('\n');
}

/** Why rules fail, a line each, for whoever runs the command. */
export function failureLines(results: Results): string[] {
  return [...results].flatMap(([name, verdicts]) =>
    [...verdicts].flatMap(([id, verdict]) =>
      verdict.result === 'fail' ? [`${name} fails ${id}: ${verdict.reason}`] : [],
    ),
  );
}
