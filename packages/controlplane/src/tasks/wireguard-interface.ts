import { networkInterfaces } from 'node:os';
import { describeError, type Logger } from '@orama/core';
import type { ControlplaneConfig, WireguardConfig } from '@orama/protocol';
import type { Action, Task } from '../reconcile/task.ts';
import { runTool } from '../run-tool.ts';

/** An interface that is gone is seen within so long. */
const LOOK_MS = 1_000;

interface UpAction extends Action {
  kind: 'wireguard-up';
}

/**
 * Has this node's own WireGuard interface up. Where its program died it is gone, though the unit that made it counts as
 * active. It begins before the store is reached, which needs it.
 */
export class WireguardInterfaceTask implements Task<UpAction> {
  readonly name = 'wireguard-interface';
  readonly #interface: string;
  readonly #address: string;
  readonly #logger: Logger;
  #problem: string | null = null;

  private constructor({ interface: name }: WireguardConfig, address: string, logger: Logger) {
    this.#interface = name;
    this.#address = address;
    this.#logger = logger;
  }

  /** Null where the interface is somebody else's, or no systemd keeps it. */
  static of({ wireguard, wireguardIp, services }: ControlplaneConfig, logger: Logger): WireguardInterfaceTask | null {
    return wireguard && services.manager === 'systemd'
      ? new WireguardInterfaceTask(wireguard, wireguardIp, logger)
      : null;
  }

  /** What is wrong with the interface, for an operator; null while it is up. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Before anything listens at the interface's address. Where it stays away, that is told when something listens. */
  async restore(): Promise<void> {
    try {
      if ((await this.plan()).length > 0) await this.apply();
    } catch (thrown) {
      this.#logger.warn({ err: thrown }, 'the WireGuard interface does not come up');
    }
  }

  async plan(): Promise<UpAction[]> {
    const addresses = networkInterfaces()[this.#interface] ?? [];
    if (addresses.some(({ address }) => address === this.#address)) {
      this.#problem = null;
      return [];
    }
    this.#problem ??= `${this.#interface} with ${this.#address} is gone: WireGuard is started again`;
    return [{ kind: 'wireguard-up', subject: this.#interface, reason: `${this.#address} is gone` }];
  }

  async apply(): Promise<void> {
    const unit = `wg-quick@${this.#interface}.service`;
    try {
      await runTool('systemctl', ['restart', unit]);
      this.#problem = null;
    } catch (thrown) {
      this.#problem = `${this.#interface} does not come up: ${describeError(thrown)}; journalctl -u ${unit}`;
      throw thrown;
    }
  }

  async report(): Promise<number | null> {
    return this.#problem === null ? LOOK_MS : null;
  }
}
