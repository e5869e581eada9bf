import { turnServerStatusSchema } from '@orama/protocol';
import { z } from 'zod';
import { type NodeContext, turnSocketOf } from '../node-context.ts';
import type { Action, Task } from '../reconcile/task.ts';
import { DRAINED_NODE, type HeldUnits } from '../services/held-units.ts';
import { TURN_UNIT } from '../services/service-manager.ts';
import { callTurn, TurnDownError, unlessUnknown } from '../turn-control.ts';

/** A drain whose deadline has passed is over at once, but for what a TURN server needs to say goodbye. */
const LEAST_DEADLINE_MS = 1_000;

type DrainAction = Action & ({ kind: 'node-drain'; deadlineMs: number } | { kind: 'node-resume' });

/**
 * Ends this node's TURN server while the node is drained, once no namespace wants it any more, and lets it run again when
 * the node is resumed. What namespaces have here is moved by others.
 */
export class NodeDrainTask implements Task<DrainAction> {
  readonly name = 'node-drain';
  readonly #context: NodeContext;
  readonly #held: HeldUnits;
  readonly #onChange: () => void;

  /** @param onChange told when the TURN server drains, or may be started again */
  constructor(context: NodeContext, held: HeldUnits, onChange: () => void) {
    this.#context = context;
    this.#held = held;
    this.#onChange = onChange;
  }

  async plan(): Promise<DrainAction[]> {
    const { config, store, clock } = this.#context;
    const own = (await store.nodes.list()).find(({ id }) => id === config.node);
    if (!own) return [];
    if (own.state === 'active') {
      if (!this.#held.has(DRAINED_NODE)) return [];
      return [{ kind: 'node-resume', subject: config.node, reason: 'the node takes part again' }];
    }
    const deadlineAtMs = (await store.operations.runningOfNode(config.node))?.deadlineAtMs ?? 0;
    const isHeld = this.#held.has(DRAINED_NODE) && this.#held.has(TURN_UNIT);
    if (isHeld && (await this.#endsBy(deadlineAtMs))) return [];
    const wanted = (await store.ports.list()).some((row) => row.nodeId === config.node && row.service === 'turn');
    if (wanted) return [];
    const deadlineMs = Math.max(LEAST_DEADLINE_MS, deadlineAtMs - clock.now());
    return [{ kind: 'node-drain', subject: config.node, reason: `the node is ${own.state}`, deadlineMs }];
  }

  async apply(action: DrainAction): Promise<void> {
    if (action.kind === 'node-resume') {
      await this.#held.release(TURN_UNIT);
      await this.#held.release(DRAINED_NODE);
      this.#onChange();
      return;
    }
    // Held before it can end, so that nobody starts it again.
    await this.#held.hold(DRAINED_NODE);
    await this.#held.hold(TURN_UNIT);
    const { deadlineMs } = action;
    try {
      await callTurn(turnSocketOf(this.#context.config), z.unknown(), 'POST', '/drain', { deadlineMs });
    } catch (thrown) {
      if (!(thrown instanceof TurnDownError)) {
        await this.#held.release(TURN_UNIT);
        throw thrown;
      }
    }
    this.#onChange();
  }

  /** Whether there is no server, or one that ends about then; one that systemd started again after a crash knows of no drain. */
  async #endsBy(deadlineAtMs: number): Promise<boolean> {
    try {
      const call = callTurn(turnSocketOf(this.#context.config), turnServerStatusSchema, 'GET', '/status');
      const status = await unlessUnknown(call);
      if (!status) return true;
      if (!status.draining) return false;
      return deadlineAtMs === 0 || (status.drainEndsAt ?? 0) <= deadlineAtMs + LEAST_DEADLINE_MS;
    } catch (thrown) {
      if (thrown instanceof TurnDownError) return true;
      throw thrown;
    }
  }

  async report(): Promise<null> {
    return null;
  }
}
