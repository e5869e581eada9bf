import { residentKb, stalledShare } from '../machine.ts';
import type { Durations } from '../rounds.ts';
import type { Sample } from '../samples.ts';
import { placedInBed, SERVER_CORE } from './bed.ts';
import { Clients } from './clients.ts';
import type { Engine } from './engine.ts';
import { forwarding } from './forwarding.ts';
import { JOINING } from './joins.ts';
import type { Part } from './part.ts';
import { SCENARIOS } from './scenarios.ts';

export interface Round {
  engine: Engine;
  directory: string;
  durations: Durations;
  record: (sample: Sample) => void;
}

/** One SFU on one core, all clients on the other. What fails is recorded as not valid, and a fresh server goes on. */
export async function measure({ engine, directory, durations, record: sample }: Round): Promise<void> {
  const record = (metric: string, value: number) => sample({ engine: engine.name, metric, value });
  const fault = (metric: string, reason: string) => sample({ engine: engine.name, metric, fault: reason });
  record('stalled share of the core', stalledShare(SERVER_CORE));
  const parts: Part[] = [JOINING, ...SCENARIOS.map((scenario) => forwarding(scenario, durations))];
  for (let isFirst = true; parts.length > 0; isFirst = false) {
    const server = await engine.start(placedInBed(SERVER_CORE), directory);
    const clients = new Clients(server.target);
    try {
      if (isFirst) record('base kB', residentKb(server.pid));
      for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
        const missing = new Set(part.metrics);
        try {
          await part.run(server, clients, {
            value(metric, value) {
              missing.delete(metric);
              record(metric, value);
            },
            fault(metric, reason) {
              missing.delete(metric);
              fault(metric, reason);
            },
          });
          await clients.leave();
          await server.settled();
        } catch (thrown) {
          console.error(thrown);
          for (const metric of missing) fault(metric, (thrown as Error).message);
          break;
        }
      }
    } finally {
      await clients.end();
      await server.stop();
    }
  }
}
