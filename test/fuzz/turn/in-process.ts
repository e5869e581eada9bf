import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@orama/core';
import { type TurnConfigInput, type TurnTenant, turnConfigSchema } from '@orama/protocol';
import { readMetrics } from '@orama/testkit';
import { type MakeSockets, TurnService } from '@orama/turn';
import { memoryBytes } from '../../support/memory.ts';
import { errorLogger } from '../error-logger.ts';
import type { Memory } from '../rounds.ts';
import { configOf, freePorts, type Host, INTERNAL_IP, NAMESPACE, type Ports, type Taps } from './server-under-test.ts';

/** Longer than anything of a round lives. */
const ROUND_END_MS = 2 * 3_600_000;
/** What memory may grow by between the first rounds and the last. */
const GROWTH_MAX_BYTES = 12 * 1024 * 1024;

/** Told instead of read: in virtual time it is asked for them more often than it is sent anything. */
const INTERFACES = ['127.0.0.1', '::1'];

/** The whole server with one worker in this process, on a virtual clock. */
export class InProcess implements Host {
  readonly ports: Ports;
  readonly #clock = new VirtualClock();
  readonly #service: TurnService;
  readonly #dir = mkdtempSync(join(tmpdir(), 'turn-fuzz-'));

  private constructor(ports: Ports, taps: Taps, more: Partial<TurnConfigInput>, makeSockets?: MakeSockets) {
    this.ports = ports;
    const config = turnConfigSchema.parse({ ...configOf(ports, join(this.#dir, 'turn.sock')), workers: 1, ...more });
    const logger = errorLogger((line) => taps.error(line));
    this.#service = new TurnService(config, logger, this.#clock, makeSockets, () => INTERFACES);
  }

  /** @param makeSockets its UDP sockets; without it, those it takes by itself */
  static async start(taps: Taps, more: Partial<TurnConfigInput>, makeSockets?: MakeSockets): Promise<InProcess> {
    const host = new InProcess(await freePorts(), taps, more, makeSockets);
    await host.#service.start();
    return host;
  }

  async attach(tenant: TurnTenant): Promise<void> {
    await this.#service.tenants.attach(tenant);
  }

  async detach(): Promise<void> {
    await this.#service.tenants.detach(NAMESPACE);
  }

  nowMs(): number {
    return this.#clock.now();
  }

  advance(ms: number): void {
    this.#clock.advance(ms);
  }

  async expire(): Promise<void> {
    this.#clock.advance(ROUND_END_MS);
  }

  metrics(): Promise<Map<string, number>> {
    return readMetrics({ address: INTERNAL_IP, port: this.ports.internal });
  }

  async memory(): Promise<Memory> {
    return { bytes: memoryBytes(), growthMax: GROWTH_MAX_BYTES };
  }

  async close(): Promise<void> {
    await this.#service.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
