import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TurnTenant } from '@orama/protocol';
import { callTurnControl, readMetrics } from '@orama/testkit';
import { readLog } from '../log-lines.ts';
import type { Memory } from '../rounds.ts';
import {
  configOf,
  freePorts,
  type Host,
  INTERNAL_IP,
  NAMESPACE,
  type Ports,
  type Taps,
  UNLIMITED,
} from './server-under-test.ts';

const MAIN = join(import.meta.dirname, '../../../cmd/turn/src/main.ts');
const TENANT_PATH = `/tenants/${NAMESPACE}`;
/** The resident set breathes with the garbage of three heaps. */
const GROWTH_MAX_BYTES = 96 * 1024 * 1024;

/** The real program with two workers, in a process of its own. */
export class Threads implements Host {
  readonly ports: Ports;
  readonly #controlSocket: string;
  readonly #dir: string;
  readonly #child: ChildProcess;
  #closing = false;

  private constructor(ports: Ports, dir: string, child: ChildProcess) {
    this.ports = ports;
    this.#dir = dir;
    this.#controlSocket = join(dir, 'turn.sock');
    this.#child = child;
  }

  static async start(taps: Taps): Promise<Threads> {
    const ports = await freePorts();
    const dir = mkdtempSync(join(tmpdir(), 'turn-fuzz-'));
    const path = join(dir, 'turn.json');
    writeFileSync(path, JSON.stringify({ ...configOf(ports, join(dir, 'turn.sock')), workers: 2, ...UNLIMITED }));
    const child = spawn(process.execPath, ['--conditions=source', MAIN, '--config', path], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const host = new Threads(ports, dir, child);
    child.once('exit', (code, signal) => {
      if (!host.#closing) taps.error(`the server ended with ${code ?? signal}`);
    });
    await readLog(child, (line) => taps.error(line));
    return host;
  }

  async attach(tenant: TurnTenant): Promise<void> {
    await callTurnControl(this.#controlSocket, 'PUT', TENANT_PATH, tenant);
  }

  async detach(): Promise<void> {
    await callTurnControl(this.#controlSocket, 'DELETE', TENANT_PATH);
  }

  nowMs(): number {
    return Date.now();
  }

  advance(): void {
    // It has the system's time.
  }

  /** What would end with its time ends with its tenant. */
  expire(): Promise<void> {
    return this.detach();
  }

  /** Answers to retransmissions live for their time, whatever ends; the others are gone. */
  async metrics(): Promise<Map<string, number>> {
    const metrics = await readMetrics({ address: INTERNAL_IP, port: this.ports.internal });
    for (const series of metrics.keys()) if (series.includes('table="answers"')) metrics.delete(series);
    return metrics;
  }

  async memory(): Promise<Memory> {
    const bytes = (await this.metrics()).get('process_resident_memory_bytes{svc="turn"}') ?? Number.NaN;
    return { bytes, growthMax: GROWTH_MAX_BYTES };
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
