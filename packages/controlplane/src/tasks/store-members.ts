import type { NodeContext } from '../node-context.ts';
import type { StoreMembers } from '../operations/context.ts';
import type { View } from '../reconcile/store-view.ts';
import type { Action, Task } from '../reconcile/task.ts';

/**
 * Has no node count for the store's majority that was taken out of the cluster: with it every further loss would weigh
 * more. Whoever removes a node does so at once; this is for who was cut off. Any node may do it, and twice does no harm.
 */
export class StoreMembersTask implements Task {
  readonly name = 'store-members';
  readonly #context: Pick<NodeContext, 'config' | 'view'>;
  readonly #members: StoreMembers;
  /** What the store said when nothing was to be done. */
  #settled: View | null = null;

  constructor(context: Pick<NodeContext, 'config' | 'view'>, members: StoreMembers) {
    this.#context = context;
    this.#members = members;
  }

  async plan(): Promise<Action[]> {
    const view = await this.#context.view.read();
    if (view === this.#settled) return [];
    const gone = new Set((await view.nodes()).flatMap(({ id, state }) => (state === 'gone' ? [id] : [])));
    gone.delete(this.#context.config.node);
    const members = gone.size === 0 ? [] : await this.#members.nodes();
    const left = members.filter(({ id }) => gone.has(id));
    this.#settled = left.length === 0 ? view : null;
    return left.map(({ id }) => ({ kind: 'store-member-remove', subject: id, reason: 'it is no node any more' }));
  }

  apply({ subject }: Action): Promise<void> {
    return this.#members.removeNode(subject);
  }

  async report(): Promise<null> {
    return null;
  }
}
