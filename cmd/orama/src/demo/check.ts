import { EXIT } from '@orama/protocol';
import type { Context } from '../context.ts';
import { renderTable } from '../output/table.ts';
import { Caller } from './caller.ts';
import { launchChromium } from './chromium.ts';
import { judgeReceived, judgeTimes, measureJoins, measureReceived, type Received, type Times } from './measure.ts';
import type { Demo } from './prepare.ts';

/**
 * Lets two headless Chromium pages hold a call, then measures joins, prints both, and sets the exit code.
 * Throws when a page does not get into the call at all.
 */
export async function checkDemo(context: Context, demo: Demo, joinCount: number, signal: AbortSignal): Promise<void> {
  const { output } = context;
  const progress = await output.progress('starting Chromium');
  const browser = await launchChromium(context.settings).catch((thrown: unknown) => {
    progress.stop();
    throw thrown;
  });
  try {
    progress.update('two pages join the call');
    const callers: [Caller, Caller] = [
      await Caller.join(browser, demo.url, 'alice'),
      await Caller.join(browser, demo.url, 'bob'),
    ];
    const received = await measureReceived(callers, signal);
    progress.step('a call of two pages');
    // One is enough to look at; a second encoder would only take processor time from those who join.
    await callers[1].close();
    const { joins, leaves, failure } = await measureJoins({
      browser,
      url: demo.url,
      watcher: callers[0],
      count: joinCount,
      signal,
      onProgress: (text) => progress.update(text),
    });
    progress.step(`${joins.count} joins`);
    progress.stop();
    const { namespace, gateway, status } = demo;
    const sfus = status.services.filter(({ service }) => service === 'sfu').map(({ address }) => address);
    const problems = [
      ...judgeReceived(received, sfus),
      ...judgeTimes(joins, leaves),
      ...(failure === undefined ? [] : [failure]),
    ];
    output.result(
      { passed: problems.length === 0, problems, namespace, gateway, status, received, joins, leaves },
      () =>
        [
          renderReceived(context, received),
          `join to first decoded frame over ${joins.count} joins: ${describeTimes(joins)}`,
          `leave until the others see it: ${describeTimes(leaves)}`,
          ...problems.map((problem) => `${output.style('red', 'failed')}: ${problem}`),
          problems.length === 0 ? output.style('green', 'the check passed') : 'the check failed',
        ].join('\n'),
    );
    if (problems.length > 0) process.exitCode = EXIT.failed;
  } finally {
    progress.stop();
    await browser.close();
  }
}

function renderReceived({ output }: Context, received: Received[]): string {
  const head = ['page', 'from', 'frames decoded', 'picture', 'bitrate', 'audio energy', 'candidate pair', 'round trip'];
  const rows = received.map((row) => [
    row.page,
    row.from,
    String(row.framesDecoded),
    `${row.width}x${row.height} at ${row.framesPerSecond.toFixed(0)}/s`,
    `${Math.round(row.bitrateBps / 1000)} kbit/s`,
    row.audioEnergy.toFixed(3),
    row.pair,
    row.rttMs === null ? '-' : `${row.rttMs.toFixed(1)} ms`,
  ]);
  return renderTable(output, head, rows);
}

function describeTimes({ medianMs, worstMs }: Times): string {
  return `median ${medianMs} ms, worst ${worstMs} ms`;
}
