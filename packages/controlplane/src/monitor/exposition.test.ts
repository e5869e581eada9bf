import { Counter, createMetrics, Gauge } from '@orama/core/metrics';
import { expect, test } from 'vitest';
import { loopDelayMs, readExposition, sumOf } from './exposition.ts';

test('readExposition() reads what prom-client writes, whatever the labels hold', async () => {
  const registry = createMetrics('test');
  const registers = [registry];
  const counter = new Counter({ name: 'some_total', help: 'x', labelNames: ['a'], registers });
  counter.inc({ a: 'plain' }, 2);
  counter.inc({ a: 'odd } 7 "quoted" \\ \n' }, 1.5);
  new Gauge({ name: 'some_worst', help: 'x', registers }).set(Number.POSITIVE_INFINITY);
  const seen = readExposition(await registry.metrics());
  expect(seen.get('some_total')).toEqual([2, 1.5]);
  expect(sumOf(seen, 'some_total')).toBe(3.5);
  expect(sumOf(seen, 'nothing')).toBeNull();
  expect(seen.get('process_start_time_seconds')?.[0]).toBeGreaterThan(1e9);
});

test('readExposition() leaves out what it cannot read', () => {
  expect([...readExposition('# HELP a b\nno value\na_b{ 1\nx NaN\n\ny 3 1700000000000\n')]).toEqual([['y', [3]]]);
});

test('loopDelayMs() is the worst loop of a process, without the wait of its timer', () => {
  const of = (text: string) => loopDelayMs(readExposition(text));
  expect(of('nodejs_eventloop_lag_p99_seconds{svc="x"} 0.0125')).toBe(2.5);
  expect(of('nodejs_eventloop_lag_p99_seconds 0.0099')).toBe(0);
  const threads =
    'turn_worker_event_loop_delay_p99_seconds{worker="0"} 0.001\nturn_worker_event_loop_delay_p99_seconds{worker="1"} 0.04';
  expect(of(`nodejs_eventloop_lag_p99_seconds 0.011\n${threads}`)).toBe(40);
  expect(of('')).toBeNull();
});
