import { createHash } from 'node:crypto';
import type { TurnTenant } from '@orama/protocol';

/**
 * Hex SHA-256 over a tenant's settings, the same for the one who attaches it and the server that has it, so that a
 * changed secret or policy is noticed without being shown. Expects a parsed tenant (defaults filled in).
 */
export function turnTenantDigest(tenant: TurnTenant): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(tenant)))
    .digest('hex');
}

/** A copy with the keys of every object in order, so that equal settings give equal text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}
