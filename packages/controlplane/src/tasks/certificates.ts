import type { Certificate } from '@orama/core';
import { namespaceHost, turnCertificateStatusSchema, turnDomain, turnServerStatusSchema } from '@orama/protocol';
import { z } from 'zod';
import type { KeptCertificates } from '../certificates/kept-certificates.ts';
import type { CaddyChange, CaddyWatch } from '../certificates/watch.ts';
import { gatewayNames } from '../dns/gateway-names.ts';
import { type NodeContext, turnSocketOf } from '../node-context.ts';
import type { View } from '../reconcile/store-view.ts';
import type { Action, Task } from '../reconcile/task.ts';
import { callTurn, TurnDownError, unlessUnknown } from '../turn-control.ts';

/** A certificate that is on its way is looked for so often. */
const RECHECK_MS = 500;

type CertificateAction = Action &
  (
    | { kind: 'caddy-names'; change: CaddyChange }
    | { kind: 'certificate-serve'; certificate: Certificate; isServed: boolean }
    | { kind: 'certificate-forget' }
  );

/** What a node has to have certificates for. */
interface WantedHosts {
  /** TURN names that are served here. */
  turn: string[];
  /** Those that lead somewhere already, as the authority will come by the name, and the names of gateways. */
  all: string[];
  /** Whether other nodes have them as well. */
  shared: boolean;
}

/**
 * Has Caddy get certificates for the names of this node, and hands those of TURN names to the TURN server, which has one of its
 * own for every name until then. A certificate that was good is kept until a newer one comes.
 */
export class CertificatesTask implements Task<CertificateAction> {
  readonly name = 'certificates';
  readonly #context: NodeContext;
  readonly #watch: CaddyWatch;
  readonly #kept: KeptCertificates;
  readonly #withGateways: boolean;

  constructor(context: NodeContext, watch: CaddyWatch, kept: KeptCertificates, withGateways: boolean) {
    this.#context = context;
    this.#watch = watch;
    this.#kept = kept;
    this.#withGateways = withGateways;
  }

  async plan(): Promise<CertificateAction[]> {
    const { clock, view } = this.#context;
    await this.#kept.load(clock.now());
    const wanted = await this.#wanted(await view.read());
    const found = await this.#watch.certificates(wanted.all);
    const actions = await this.#plannedOfTurn(wanted.turn, found);
    try {
      const change = await this.#watch.dueChange(wanted.all, wanted.shared);
      if (change) {
        const reason = 'the names that it has certificates for are others';
        actions.push({ kind: 'caddy-names', subject: 'caddy', reason, change });
      }
    } catch (thrown) {
      // The certificates that are there are served all the same.
      if (actions.length === 0) throw thrown;
    }
    return actions;
  }

  async apply(action: CertificateAction): Promise<void> {
    const { kind, subject } = action;
    if (kind === 'caddy-names') return this.#watch.apply(action.change);
    const socket = turnSocketOf(this.#context.config);
    const path = `/certificates/${subject}`;
    if (kind === 'certificate-forget') {
      await unlessUnknown(callTurn(socket, z.undefined(), 'DELETE', path)).catch(unlessDown);
      return this.#kept.remove(subject);
    }
    const { certificate, isServed } = action;
    // First of all, whatever the disk says. A server that is not there gets it when it is.
    if (!isServed) await callTurn(socket, turnCertificateStatusSchema, 'PUT', path, certificate.pair).catch(unlessDown);
    if (this.#kept.get(subject) !== certificate) await this.#kept.put(subject, certificate);
  }

  /** What is wrong with the certificates of a namespace here, in words. */
  problemOf(namespace: string): string | undefined {
    const names = [this.#turnName(namespace), ...(this.#withGateways ? [this.#gatewayName(namespace)] : [])];
    return names.map((name) => this.#watch.problemOf(name)).find((problem) => problem !== undefined);
  }

  /** Whether there is a certificate of a namespace here. */
  has(namespace: string): boolean {
    return this.#kept.names().includes(this.#turnName(namespace));
  }

  async report(): Promise<number | null> {
    const { view } = this.#context;
    const { all } = await this.#wanted(await view.read());
    const found = await this.#watch.certificates(all);
    return all.every((name) => found.has(name) || this.#watch.problemOf(name) !== undefined) ? null : RECHECK_MS;
  }

  /** Names as Caddy writes them. */
  #turnName(namespace: string): string {
    return turnDomain(namespace, this.#context.config.baseDomain).toLowerCase();
  }

  #gatewayName(namespace: string): string {
    return namespaceHost(namespace, this.#context.config.baseDomain).toLowerCase();
  }

  async #plannedOfTurn(
    names: readonly string[],
    found: ReadonlyMap<string, Certificate>,
  ): Promise<CertificateAction[]> {
    const served = await this.#served();
    const actions: CertificateAction[] = [];
    for (const name of names) {
      const kept = this.#kept.get(name);
      const newest = newestOf(kept, found.get(name), this.#context.clock.now());
      if (newest === undefined) continue;
      const isServed = served === null || served.get(name) === newest.status.fingerprint;
      if (isServed && newest === kept) continue;
      const reason = newest === kept ? 'the TURN server shows another one' : `issued by ${newest.status.issuer}`;
      actions.push({ kind: 'certificate-serve', subject: name, reason, certificate: newest, isServed });
    }
    for (const name of this.#kept.names()) {
      if (names.includes(name)) continue;
      actions.push({ kind: 'certificate-forget', subject: name, reason: 'not desired here' });
    }
    return actions;
  }

  /** Fingerprints by name; null while there is no server that could be handed one. */
  async #served(): Promise<ReadonlyMap<string, string | undefined> | null> {
    try {
      const status = await unlessUnknown(
        callTurn(turnSocketOf(this.#context.config), turnServerStatusSchema, 'GET', '/status'),
      );
      if (status === null || status.draining) return null;
      return new Map(
        status.certificates.flatMap(({ name, fingerprint }) => (name === null ? [] : [[name, fingerprint]])),
      );
    } catch (thrown) {
      return unlessDown(thrown) ?? null;
    }
  }

  async #wanted(view: View): Promise<WantedHosts> {
    const { desired, here } = view;
    const { config } = this.#context;
    const { coreServices, node } = config;
    const turn = [...here.values()].flatMap(({ config: { namespace }, wanted, turn: rows, leaving }) =>
      wanted && [...rows, ...leaving].some((row) => row.service === 'turn' && row.nodeId === node)
        ? [this.#turnName(namespace)]
        : [],
    );
    const gateways =
      this.#withGateways && coreServices.includes('gateway')
        ? gatewayNames(desired, config).map((name) => name.toLowerCase())
        : [];
    const nodes = (await view.nodes()).filter(({ state }) => state !== 'gone');
    const named = new Set((await view.records()).map(({ fqdn }) => fqdn));
    const all = [...turn.filter((name) => named.has(name)), ...gateways].sort();
    return { turn, all, shared: nodes.length > 1 };
  }
}

/** The one that was issued later, as long as it has not ended; the same object where both are the same certificate. */
function newestOf(
  kept: Certificate | undefined,
  found: Certificate | undefined,
  nowMs: number,
): Certificate | undefined {
  const good = kept && kept.status.notAfter > nowMs ? kept : undefined;
  if (found === undefined || found.status.fingerprint === good?.status.fingerprint) return good;
  return good !== undefined && good.notBefore > found.notBefore ? good : found;
}

function unlessDown(thrown: unknown): undefined {
  if (!(thrown instanceof TurnDownError)) throw thrown;
}
