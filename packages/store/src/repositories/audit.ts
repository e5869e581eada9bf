import type { Statement } from '../database.ts';

/** A line of the audit trail, for the batch that does the audited thing. */
export function auditStatement(entry: {
  atMs: number;
  actor: string;
  action: string;
  namespace: string | null;
  result: string;
}): Statement {
  return {
    sql: 'INSERT INTO audit (at, actor, action, namespace, result) VALUES (?, ?, ?, ?, ?)',
    params: [entry.atMs, entry.actor, entry.action, entry.namespace, entry.result],
  };
}
