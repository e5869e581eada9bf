import { isDeepStrictEqual } from 'node:util';
import type { ClusterState } from '@orama/protocol';
import { type NodeContext, nodePaths } from '../node-context.ts';
import { type Observation, Reporter } from '../reconcile/reports.ts';
import type { Action, Task } from '../reconcile/task.ts';
import {
  type FoundStateFile,
  readStateFiles,
  removeStateFile,
  stateOf,
  writeStateFile,
} from '../restore/state-file.ts';

type UnsavedState = Omit<ClusterState, 'saved_at'>;
type StateFileAction = Action &
  ({ kind: 'state-file-write'; state: UnsavedState } | { kind: 'state-file-remove'; namespace: string });

type Context = Pick<NodeContext, 'config' | 'store' | 'view' | 'clock'>;

/** What to write and remove so that the files say what the store says. Pure. A file is never trusted over the store. */
export function planStateFiles(wanted: readonly UnsavedState[], found: readonly FoundStateFile[]): StateFileAction[] {
  const actions: StateFileAction[] = [];
  const names = new Set(wanted.map((state) => state.namespace_name));
  for (const { namespace } of found) {
    if (names.has(namespace)) continue;
    actions.push({ kind: 'state-file-remove', subject: namespace, reason: 'not desired here', namespace });
  }
  for (const state of wanted) {
    const file = found.find(({ namespace }) => namespace === state.namespace_name);
    const reason = whyWrong(state, file);
    if (reason) actions.push({ kind: 'state-file-write', subject: state.namespace_name, reason, state });
  }
  return actions;
}

function whyWrong(state: UnsavedState, file: FoundStateFile | undefined): string | null {
  if (!file) return 'missing';
  if (!file.state) return `unusable: ${file.problem}`;
  const { saved_at: _, ...saved } = file.state;
  if (isDeepStrictEqual(saved, state)) return null;
  if (saved.cluster_id !== state.cluster_id) return `it belongs to cluster ${saved.cluster_id}`;
  return saved.generation === state.generation ? 'the namespace changed' : `it is of generation ${saved.generation}`;
}

/** Keeps a `cluster_state.json` of every namespace of this node. */
export class StateFilesTask implements Task<StateFileAction> {
  readonly name = 'state-files';
  readonly #context: Context;
  readonly #namespacesDir: string;
  readonly #reporter: Reporter;

  constructor(context: Context) {
    this.#context = context;
    this.#namespacesDir = nodePaths(context.config.dataDir).namespaces;
    this.#reporter = new Reporter(context.store);
  }

  async plan(): Promise<StateFileAction[]> {
    const { config, store, view } = this.#context;
    const nodes = await store.nodes.list();
    const wanted = [...(await view.read()).here.values()].flatMap((each) => stateOf(each, nodes, config) ?? []);
    return planStateFiles(wanted, await readStateFiles(this.#namespacesDir));
  }

  async apply(action: StateFileAction): Promise<void> {
    if (action.kind === 'state-file-remove') return removeStateFile(this.#namespacesDir, action.namespace);
    const saved_at = new Date(this.#context.clock.now()).toISOString();
    return writeStateFile(this.#namespacesDir, { ...action.state, saved_at });
  }

  async report(): Promise<number | null> {
    const { config, store, view, clock } = this.#context;
    const desired = (await view.read()).here;
    const nodes = await store.nodes.list();
    const found = await readStateFiles(this.#namespacesDir);
    const observations = [...desired.values()].flatMap((each): Observation[] => {
      // A disable waits for those as well that are still to leave.
      const rows = each.wanted ? [...each.sfu, ...each.turn] : [...each.sfu, ...each.turn, ...each.leaving];
      if (!rows.some((row) => row.nodeId === config.node)) return [];
      const { namespace, generation } = each.config;
      const state = stateOf(each, nodes, config);
      const file = found.find((one) => one.namespace === namespace);
      const wrong = state ? whyWrong(state, file) : null;
      return [
        {
          nodeId: config.node,
          namespace,
          service: 'state-file',
          desired: state ? 'running' : 'absent',
          observed: file ? 'running' : 'absent',
          healthy: state !== null && wrong === null,
          generation,
          reason: wrong,
          details: {},
        },
      ];
    });
    await this.#reporter.write(observations, clock.now());
    return null;
  }
}
