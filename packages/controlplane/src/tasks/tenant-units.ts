import { chown, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, removeAbandonedFiles, writeFileAtomic } from '@orama/core';
import type { TurnTenant } from '@orama/protocol';
import type { NodeContext } from '../node-context.ts';
import type { CrashBackoff } from '../services/crash-backoff.ts';
import { type ServiceState, TENANT_UNIT_PREFIX } from '../services/service-manager.ts';
import {
  DESIRED_HERE,
  detach,
  detachUnwanted,
  NOT_DESIRED,
  type ObservedTenants,
  SETTINGS_CHANGED,
  type TenantKeeper,
  type TurnAction,
} from './tenant-keeper.ts';

/** In memory, because secrets of tenants are in it: a folder a namespace, which its unit sees alone. */
const FOLDER = '/run/orama/tenants';
/** What a unit is started with does not change: it reads its file again and again. */
const DIGEST = 'its tenant file';
const KILL_AFTER_MS = 5_000;

/**
 * A unit of systemd for each tenant, which attaches what its file says for as long as it runs (`orama turn attach`), to a
 * server that was started anew as well, and detaches it at its end.
 */
export class TenantUnits implements TenantKeeper {
  readonly #context: NodeContext;
  readonly #backoff: CrashBackoff;
  readonly #folder: string;

  /** @param folder of the tenants' files, as the units expect it */
  constructor(context: NodeContext, backoff: CrashBackoff, folder = FOLDER) {
    this.#context = context;
    this.#backoff = backoff;
    this.#folder = folder;
  }

  async plan(wanted: readonly TurnTenant[], observed: ObservedTenants): Promise<TurnAction[]> {
    const units = await this.#units();
    const names = new Set(wanted.map(({ namespace }) => namespace));
    // A tenant that has a unit is detached by it.
    const actions = (typeof observed === 'string' ? [] : detachUnwanted(wanted, observed)).filter(
      ({ subject }) => !units.has(subject),
    );
    for (const [subject, { phase }] of units) {
      if (!names.has(subject) && phase !== 'stopping')
        actions.push({ kind: 'turn-detach', subject, reason: NOT_DESIRED });
    }
    for (const tenant of wanted) {
      const { namespace } = tenant;
      const written = await this.#written(namespace);
      // Without a server a unit would only wait for one.
      const startable = typeof observed !== 'string' && this.#backoff.waitMs(unitOf(namespace)) === 0;
      if (units.has(namespace) ? written === textOf(tenant) : !startable) continue;
      const reason = units.has(namespace) ? SETTINGS_CHANGED : DESIRED_HERE;
      actions.push({ kind: 'turn-attach', subject: namespace, reason, tenant });
    }
    for (const subject of await this.#files()) {
      if (!names.has(subject) && !units.has(subject))
        actions.push({ kind: 'turn-clean', subject, reason: 'its unit is gone' });
    }
    return actions;
  }

  async apply({ kind, subject, tenant }: TurnAction): Promise<void> {
    const { services, config } = this.#context;
    const unit = unitOf(subject);
    if (kind === 'turn-clean') {
      await services.forget(unit);
      // Last, because it is what tells that something is left.
      await rm(join(this.#folder, subject), { recursive: true, force: true });
    } else if (kind === 'turn-detach') {
      if (!(await this.#units()).has(subject)) return detach(config, subject);
      // First, because it tells the unit why it is stopped.
      await rm(this.#file(subject), { force: true });
      await services.stop(unit, KILL_AFTER_MS);
    } else if (tenant) {
      await this.#write(tenant);
      try {
        await services.start({ unit, command: [], configDigest: DIGEST });
      } catch (thrown) {
        this.#backoff.noteFailedStart(unit, describeError(thrown));
        throw thrown;
      }
    }
  }

  async remains(): Promise<ReadonlySet<string>> {
    return new Set([...(await this.#units()).keys(), ...(await this.#files())]);
  }

  reason(namespace: string): string | null {
    return this.#backoff.reason(unitOf(namespace));
  }

  async #write(tenant: TurnTenant): Promise<void> {
    if ((await this.#written(tenant.namespace)) === textOf(tenant)) return;
    const isNew = await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    if (isNew !== undefined) {
      // The units run as whom the node's data belongs to; what is written below belongs to the same.
      const { uid, gid } = await stat(this.#context.config.dataDir);
      await chown(this.#folder, uid, gid);
    }
    await removeAbandonedFiles(this.#folder);
    await writeFileAtomic(this.#file(tenant.namespace), textOf(tenant));
  }

  async #units(): Promise<ReadonlyMap<string, ServiceState>> {
    const states = await this.#context.services.list();
    return new Map(
      states.flatMap((state) =>
        state.unit.startsWith(TENANT_UNIT_PREFIX) ? [[state.unit.slice(TENANT_UNIT_PREFIX.length), state]] : [],
      ),
    );
  }

  /** Namespaces that have files here. */
  async #files(): Promise<string[]> {
    return readdir(this.#folder).catch(unlessMissing([]));
  }

  /** What a tenant's file says; null when there is none. */
  async #written(namespace: string): Promise<string | null> {
    return readFile(this.#file(namespace), 'utf8').catch(unlessMissing(null));
  }

  #file(namespace: string): string {
    return join(this.#folder, namespace, 'tenant.json');
  }
}

function unitOf(namespace: string): string {
  return `${TENANT_UNIT_PREFIX}${namespace}`;
}

function textOf(tenant: TurnTenant): string {
  return `${JSON.stringify(tenant, null, 2)}\n`;
}

function unlessMissing<T>(instead: T): (thrown: NodeJS.ErrnoException) => T {
  return (thrown) => {
    if (thrown.code === 'ENOENT') return instead;
    throw thrown;
  };
}
