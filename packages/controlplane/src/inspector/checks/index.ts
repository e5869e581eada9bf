import type { Check } from '../check.ts';
import { certificate } from './certificate.ts';
import { clockSkew } from './clock-skew.ts';
import { dns } from './dns.ts';
import { orphans } from './orphans.ts';
import { portRows } from './port-rows.ts';
import { reconcile } from './reconcile.ts';
import { relayPolicy } from './relay-policy.ts';
import { secretFiles } from './secret-files.ts';
import { services } from './services.ts';
import { sfuCoverage } from './sfu-coverage.ts';
import { sfuWireguardOnly } from './sfu-wireguard-only.ts';
import { turnReachable } from './turn-reachable.ts';
import { turnRedundancy } from './turn-redundancy.ts';
import { versionSkew } from './version-skew.ts';

/** Every check, in the order in which they are told. */
export const CHECKS: readonly Check[] = [
  services,
  sfuCoverage,
  turnRedundancy,
  sfuWireguardOnly,
  turnReachable,
  relayPolicy,
  dns,
  certificate,
  clockSkew,
  reconcile,
  orphans,
  portRows,
  secretFiles,
  versionSkew,
];
