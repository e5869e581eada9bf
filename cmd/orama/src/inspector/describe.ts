import type { CheckResult, Finding, Severity } from '@orama/controlplane/inspector';
import type { Output } from '../output/output.ts';

const COLOURS = { ok: 'green', warning: 'yellow', critical: 'red' } as const;

/** The results for people: what is not well with what mends it; what is well in a line each, or whole with `all`. */
export function describeResults(output: Output, results: readonly CheckResult[], all: boolean): string {
  const lines = results.flatMap(({ id, question, severity, findings }) => [
    `${mark(output, severity)}  ${output.style('bold', id)}  ${question}`,
    ...findings.filter((finding) => all || finding.severity !== 'ok').flatMap((finding) => describe(output, finding)),
  ]);
  const count = (wanted: Severity) => results.filter(({ severity }) => severity === wanted).length;
  return [
    ...lines,
    '',
    `${count('ok')} checks are well, ${count('warning')} warn, ${count('critical')} are critical`,
  ].join('\n');
}

function describe(output: Output, { severity, namespace, node, seen, mend }: Finding): string[] {
  const where = [namespace, node].filter((part) => part !== undefined).join(' on ');
  return [
    `          ${severity === 'ok' ? '' : `${mark(output, severity).trim()}  `}${where === '' ? '' : `${where}: `}${seen}`,
    ...(mend === undefined ? [] : [`              mend: ${mend}`]),
  ];
}

function mark(output: Output, severity: Severity): string {
  return output.style(COLOURS[severity], severity.padEnd(8));
}
