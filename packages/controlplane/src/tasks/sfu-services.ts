import { readdir, readFile, rm } from 'node:fs/promises';
import { describeError, writeFileAtomic } from '@orama/core';
import { sfuHealthSchema } from '@orama/protocol';
import type { SfuAllocationRow } from '@orama/store';
import { callHttp } from '../http-call.ts';
import { type NodeContext, nodePaths } from '../node-context.ts';
import { namespaceTurnUris, openTurnSecrets } from '../reconcile/desired.ts';
import { releaseBlocks } from '../reconcile/release-blocks.ts';
import { type Observation, Reporter } from '../reconcile/reports.ts';
import type { Action, Task } from '../reconcile/task.ts';
import { type CrashBackoff, recheckMs } from '../services/crash-backoff.ts';
import { commandOf } from '../services/open.ts';
import { namespaceOfSfuUnit, type ServiceState, sfuUnit } from '../services/service-manager.ts';
import { planUnits } from '../services/unit-plan.ts';
import { SFU_STOP_MS, type SfuUnit, sfuUnitOf } from './sfu-unit.ts';

/** A disabled namespace's clients have nowhere to go. */
const DISABLE_KILL_AFTER_MS = 2_000;
/** An SFU that does not answer for so long after its start is told with the reason. */
const STARTING_MS = 3_000;
const STOPPING_RECHECK_MS = 100;
/** An SFU reads its configuration again once a second. */
const BEHIND_RECHECK_MS = 150;

type SfuAction = Action &
  (
    | { kind: 'sfu-start' | 'sfu-turn'; sfu: SfuUnit }
    | { kind: 'sfu-stop'; killAfterMs: number }
    | { kind: 'sfu-clean' }
  );

/** Keeps one SFU process running for every namespace that is placed on this node, and nothing of any other. */
export class SfuServicesTask implements Task<SfuAction> {
  readonly name = 'sfu-services';
  readonly #context: NodeContext;
  readonly #backoff: CrashBackoff;
  readonly #reporter: Reporter;

  constructor(context: NodeContext, backoff: CrashBackoff) {
    this.#context = context;
    this.#backoff = backoff;
    this.#reporter = new Reporter(context.store);
  }

  async plan(): Promise<SfuAction[]> {
    const { config, clock, secrets, store, view, sfuSecretOf } = this.#context;
    const seen = await view.read();
    const [nodes, reports] = await Promise.all([store.nodes.list(), seen.reportsHere()]);
    const observed = await this.#observed();
    const wanted: SfuUnit[] = [];
    const unreadable = new Set<string>();
    for (const each of seen.here.values()) {
      const opened = openTurnSecrets(each.config, secrets, clock.now());
      const { namespace } = each.config;
      const rows = { ports: each.turn, nodes, reports: reports.get(namespace) ?? [] };
      const uris = namespaceTurnUris(config, namespace, rows);
      const sfu = opened && sfuUnitOf(config, each, { uris, secret: opened.current }, sfuSecretOf(namespace));
      if (sfu) wanted.push(sfu);
      if (!opened && each.wanted) unreadable.add(sfuUnit(namespace));
    }
    const judged = observed.filter(({ unit }) => !unreadable.has(unit));
    const steps = planUnits(wanted, judged, (unit) => this.#backoff.waitMs(unit) === 0);
    const actions = steps.map((step): SfuAction => {
      const base = { subject: step.unit, reason: step.reason };
      const sfu = wanted.find(({ unit }) => unit === step.unit);
      if (step.do === 'start' && sfu) return { ...base, kind: 'sfu-start', sfu };
      // Restarted, or moved away: its clients have somewhere to go.
      const goesOn = seen.desired.get(namespaceOfSfuUnit(step.unit) ?? '')?.wanted === true;
      return { ...base, kind: 'sfu-stop', killAfterMs: goesOn ? SFU_STOP_MS : DISABLE_KILL_AFTER_MS };
    });
    for (const sfu of wanted) {
      const state = judged.find(({ unit }) => unit === sfu.unit);
      if (state?.phase !== 'running' || state.configDigest !== sfu.configDigest) continue;
      if ((await this.#writtenConfig(sfu.unit)) === sfu.configText) continue;
      actions.push({
        kind: 'sfu-turn',
        subject: sfu.unit,
        reason: 'its TURN servers, their secret or the settings changed',
        sfu,
      });
    }
    const inUse = [...wanted, ...observed].map(({ unit }) => unit);
    const leftovers = await this.#leftovers(new Set([...inUse, ...unreadable]));
    return [
      ...actions,
      ...leftovers.map((unit): SfuAction => ({ kind: 'sfu-clean', subject: unit, reason: 'its unit is gone' })),
    ];
  }

  async apply(action: SfuAction): Promise<void> {
    const { config, services } = this.#context;
    const paths = nodePaths(config.dataDir);
    if (action.kind === 'sfu-stop') return services.stop(action.subject, action.killAfterMs);
    if (action.kind === 'sfu-clean') {
      const unit = action.subject;
      await services.forget(unit);
      await rm(paths.unitFolder(unit), { recursive: true, force: true });
      return;
    }
    const { unit, secret, configText, configDigest, health } = action.sfu;
    if (action.kind === 'sfu-start') await writeFileAtomic(paths.unitSecret(unit), `${secret}\n`);
    await writeFileAtomic(paths.unitConfig(unit), configText);
    if (action.kind === 'sfu-turn') return;
    const command = commandOf(config, 'sfu', paths.unitConfig(unit));
    try {
      await services.start({ unit, command, configDigest, health });
    } catch (thrown) {
      this.#backoff.noteFailedStart(unit, describeError(thrown));
      throw thrown;
    }
  }

  async report(): Promise<number | null> {
    const { config, store, view, clock } = this.#context;
    const desired = (await view.read()).here;
    const observed = await this.#observed();
    const leftovers = new Set(await this.#leftovers(new Set()));
    let nextMs: number | null = null;
    const sooner = (ms: number | null) => {
      if (ms !== null) nextMs = Math.min(ms, nextMs ?? ms);
    };
    const here = [...desired.values()].flatMap((each) => {
      const row = each.sfu.find(({ nodeId }) => nodeId === config.node);
      const left = each.leaving.find(({ nodeId, service }) => nodeId === config.node && service === 'sfu');
      return row || left ? [{ ...each, row }] : [];
    });
    const observations = await Promise.all(
      here.map(async ({ config: settings, wanted, row }): Promise<Observation> => {
        const { namespace, generation } = settings;
        const unit = sfuUnit(namespace);
        const state = observed.find((each) => each.unit === unit);
        const base = { nodeId: config.node, namespace, service: 'sfu', generation, details: {} };
        if (!wanted || !row) {
          const gone = !state && !leftovers.has(unit);
          if (!gone) sooner(STOPPING_RECHECK_MS);
          const reason = gone ? null : state ? 'it is stopping' : 'its files are being removed';
          return { ...base, desired: 'absent', observed: gone ? 'absent' : 'running', healthy: false, reason };
        }
        const seen = await this.#probe(row, generation, state);
        if (!seen.healthy && !openTurnSecrets(settings, this.#context.secrets, clock.now()))
          seen.reason = 'its TURN secret cannot be opened with the cluster key of this node';
        if (!seen.healthy) {
          const behind = seen.observed === 'running';
          sooner(behind ? BEHIND_RECHECK_MS : recheckMs(unit, state, this.#backoff, clock.now()));
        }
        return { ...base, desired: 'running', ...seen };
      }),
    );
    if (observed.some(({ phase }) => phase === 'stopping')) sooner(STOPPING_RECHECK_MS);
    await this.#reporter.write(observations, clock.now());
    await releaseBlocks(store, desired, observations);
    return nextMs;
  }

  async #probe(
    row: SfuAllocationRow,
    generation: number,
    state: ServiceState | undefined,
  ): Promise<Pick<Observation, 'observed' | 'healthy' | 'reason' | 'details'>> {
    const down = (observed: 'running' | 'starting' | 'failed', reason: string) => ({
      observed,
      healthy: false,
      reason,
      details: {},
    });
    const unit = sfuUnit(row.namespace);
    const now = this.#context.clock.now();
    if (!state) return down('failed', this.#backoff.reason(unit) ?? 'not running');
    if (state.phase === 'stopping') return down('starting', 'it is restarted');
    if (state.phase === 'ended') return down('failed', this.#backoff.reason(unit) ?? 'it ended');
    try {
      const answer = await callHttp({ address: row.hostIp, port: row.signalingPort }, 'GET', '/healthz');
      const health = sfuHealthSchema.parse(JSON.parse(answer.body));
      if (health.namespace !== row.namespace || health.node !== row.nodeId)
        return down('failed', `its port is held by the SFU of ${health.namespace} on ${health.node}`);
      if (health.status !== 'ok') return down('starting', `it is ${health.status}`);
      if (health.generation !== generation)
        return down('running', `it has not read generation ${generation} of the settings yet`);
      return {
        observed: 'running',
        healthy: true,
        reason: null,
        details: { peers: health.peers, rooms: health.rooms },
      };
    } catch (thrown) {
      if (now - state.startedAtMs < STARTING_MS) return down('starting', 'it is starting');
      return down('failed', `it does not answer: ${describeError(thrown)}`);
    }
  }

  async #observed(): Promise<ServiceState[]> {
    return (await this.#context.services.list()).filter(({ unit }) => namespaceOfSfuUnit(unit) !== null);
  }

  /** What a unit's configuration file says; null when there is none. */
  async #writtenConfig(unit: string): Promise<string | null> {
    const path = nodePaths(this.#context.config.dataDir).unitConfig(unit);
    return readFile(path, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === 'ENOENT') return null;
      throw thrown;
    });
  }

  /** SFU units that have files here, except those in `needed`. */
  async #leftovers(needed: ReadonlySet<string>): Promise<string[]> {
    const { configs } = nodePaths(this.#context.config.dataDir);
    const names = await readdir(configs).catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === 'ENOENT') return [];
      throw thrown;
    });
    return names.filter((unit) => namespaceOfSfuUnit(unit) !== null && !needed.has(unit));
  }
}
