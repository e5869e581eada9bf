import { raiseChangeCounter, type Store } from '@orama/store';
import type { Desired } from './desired.ts';
import type { Observation } from './reports.ts';

/**
 * Frees the blocks that were moved away from this node, of the services that it has just seen to be gone. Those of a
 * namespace that is being disabled are freed with all others, at the end.
 */
export async function releaseBlocks(
  { db, ports }: Pick<Store, 'db' | 'ports'>,
  desired: Desired,
  observations: readonly Observation[],
): Promise<void> {
  const gone = observations.flatMap(({ nodeId, namespace, service, desired: wish, observed }) => {
    if (wish !== 'absent' || observed !== 'absent') return [];
    const each = desired.get(namespace);
    const left = each?.leaving.find((row) => row.nodeId === nodeId && row.service === service);
    return each?.wanted && left ? [left] : [];
  });
  if (gone.length === 0) return;
  await db.batch([...gone.flatMap((row) => ports.release(row)), raiseChangeCounter]);
}
