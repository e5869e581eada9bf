/** Values of `/metrics` by name of the metric, whatever their labels. Lines of other forms are left out. */
export type Exposition = ReadonlyMap<string, readonly number[]>;

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})? (\S+)(?: \d+)?$/;

/** Reads the text format of Prometheus. */
export function readExposition(text: string): Exposition {
  const values = new Map<string, number[]>();
  for (const line of text.split('\n')) {
    const [, name, number] = line.startsWith('#') ? [] : (SAMPLE.exec(line) ?? []);
    if (name === undefined) continue;
    const value = Number(number);
    if (Number.isNaN(value)) continue;
    const known = values.get(name);
    if (known) known.push(value);
    else values.set(name, [value]);
  }
  return values;
}

/** What programs made with prom-client have, and how long its own timer waits, which is in there. */
const NODE_DELAY = 'nodejs_eventloop_lag_p99_seconds';
const NODE_DELAY_TIMER_SEC = 0.01;
/** Ours have the delay alone: by thread of TURN, by process of an SFU. */
const OWN_DELAYS = ['turn_worker_event_loop_delay_p99_seconds', 'orama_sfu_event_loop_delay_p99_seconds'];

/** How late the event loops of a process were, the worst of them, in milliseconds; null where it does not tell. */
export function loopDelayMs(exposition: Exposition): number | null {
  const main = (exposition.get(NODE_DELAY) ?? []).map((sec) => Math.max(0, sec - NODE_DELAY_TIMER_SEC));
  const all = [...main, ...OWN_DELAYS.flatMap((name) => exposition.get(name) ?? [])];
  return all.length === 0 ? null : Math.round(Math.max(...all) * 1e5) / 100;
}

/** The sum of a metric; null where there is none. */
export function sumOf(exposition: Exposition, name: string): number | null {
  const values = exposition.get(name);
  return values ? values.reduce((sum, value) => sum + value, 0) : null;
}
