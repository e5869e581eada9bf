import { type Check, type Facts, type Finding, SEVERITIES, type Severity, type Silent } from './check.ts';

export interface CheckResult {
  id: string;
  question: string;
  /** The worst of its findings. */
  severity: Severity;
  findings: Finding[];
}

/**
 * Judges the facts by each check. Who did not answer is a failure of every check that needed it, by name, and a check that
 * says nothing is one too. Pure.
 * @param facts null when not even the store could be asked
 */
export function inspect(checks: readonly Check[], facts: Facts | null, silent: readonly Silent[]): CheckResult[] {
  return checks.map((check) => {
    const missing = silent.filter(({ needs }) => needs === 'store' || check.needs.includes(needs));
    const findings = [...missing.map(toFinding), ...(facts === null ? [] : check.judge(facts))];
    if (findings.length === 0) findings.push({ severity: 'critical', seen: 'nothing could be looked at' });
    findings.sort((a, b) => SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity));
    return { id: check.id, question: check.question, severity: worstOf(findings), findings };
  });
}

/** The worst severity; `ok` of none. */
export function worstOf(findings: readonly { severity: Severity }[]): Severity {
  const worst = Math.max(0, ...findings.map(({ severity }) => SEVERITIES.indexOf(severity)));
  return SEVERITIES[worst] as Severity;
}

function toFinding({ node, why, mend }: Silent): Finding {
  return { severity: 'critical', ...(node !== null && { node }), seen: why, mend };
}
