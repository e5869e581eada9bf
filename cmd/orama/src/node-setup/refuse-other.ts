import { UserError } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';

/** What was asked for of a machine, as far as it was said. */
export interface Asked {
  name?: string;
  publicIp?: string;
  baseDomain?: string;
  store?: ControlplaneConfig['store']['driver'];
}

/** What a node is does not change by another init or join. Throws CONFLICT that says what differs. */
export function refuseOther({ node, publicIp, baseDomain, store }: ControlplaneConfig, asked: Asked): void {
  const differs = (
    [
      ['base domain', asked.baseDomain, baseDomain],
      ['name', asked.name, node],
      ['public address', asked.publicIp, publicIp],
      ['store', asked.store, store.driver],
    ] as const
  ).flatMap(([what, wanted, is]) => (wanted === undefined || wanted === is ? [] : [`its ${what} is ${is}`]));
  if (differs.length === 0) return;
  throw new UserError('CONFLICT', `this machine is a node already, and ${differs.join(', ')}; nothing was changed`, {
    hint: 'take it out first: orama node leave',
  });
}
