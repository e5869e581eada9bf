import { Bench, type Engine, type Rule, type Server, type Size } from './rule.ts';

/** What came of one rule at one engine. */
export type Verdict = { result: 'pass' } | { result: 'fail'; reason: string } | { result: 'not offered' };

/** Rules tried at the same time at a roomy server. */
const AT_ONCE = 8;

/** Tries every rule at an engine; verdicts by rule id. Throws when the engine cannot start or ends on the way. */
export async function judge(engine: Engine, rules: readonly Rule[], patienceMs: number): Promise<Map<string, Verdict>> {
  const verdicts = new Map<string, Verdict>();
  const offered = rules.filter((each) => each.needs.every((feature) => engine.offers.has(feature)));
  for (const { id } of rules) verdicts.set(id, { result: 'not offered' });
  await atServer(engine, 'roomy', async (server, benches) => {
    const queue = offered.filter(({ size }) => size === 'roomy');
    const work = async () => {
      for (let each = queue.shift(); each !== undefined; each = queue.shift()) {
        verdicts.set(each.id, await attempt(each, new Bench(server, patienceMs), benches));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  });
  await atServer(engine, 'tight', async (server, benches) => {
    for (const each of offered.filter(({ size }) => size === 'tight')) {
      verdicts.set(each.id, await attempt(each, new Bench(server, patienceMs), benches));
    }
  });
  return verdicts;
}

/**
 * Runs a server for some work. Every socket of every bench stays open until it is done: the system would give its port
 * to the next client, and the server would take that one for the first, whose allocation lives on.
 */
async function atServer(
  engine: Engine,
  size: Size,
  work: (server: Server, benches: Bench[]) => Promise<void>,
): Promise<void> {
  const server = await engine.start(size);
  const benches: Bench[] = [];
  try {
    await work(server, benches);
  } finally {
    for (const bench of benches) await bench.close();
    await server.stop();
  }
}

async function attempt({ check }: Rule, bench: Bench, benches: Bench[]): Promise<Verdict> {
  benches.push(bench);
  try {
    await check(bench);
    return { result: 'pass' };
  } catch (thrown) {
    const [reason = ''] = String(thrown instanceof Error ? thrown.message : thrown).split('\n', 1);
    return { result: 'fail', reason };
  }
}
