import { ConfigError, describeError, OramaError } from './errors.ts';
import type { Logger } from './logger.ts';
import { openServiceNotifier, type ServiceNotifier } from './service-notifier.ts';

/** What a process runs: started once, drained and closed once. */
export interface Runnable {
  start(): Promise<void>;
  /** Stops accepting, tells clients, waits for work to end up to its own deadline, then closes everything. */
  stop(): Promise<void>;
  /** Resolves when it has stopped by itself, without a signal; absent where that cannot be. */
  readonly ended?: Promise<void>;
  /** One line about what it does now, for `systemctl status`. */
  readonly statusLine?: string;
}

/**
 * Runs `create()`'s Runnable as the main of a process: SIGTERM or SIGINT drains and exits 0, a second one exits at
 * once with 1, a configuration error exits 2, any other failure to start exits 1. One that ends by itself exits 0.
 * A service manager that wants to hear is told when it is ready, alive and stopping.
 */
export async function runMain(logger: Logger, create: () => Runnable | Promise<Runnable>): Promise<void> {
  let stopping = false;
  let runnable: Runnable | undefined;
  let notifier: ServiceNotifier | undefined;
  const fail = (message: string, thrown: unknown, code: number) => {
    logger.fatal({ err: thrown }, message);
    process.exitCode = code;
    logger.flush?.();
    process.exit(code);
  };
  const exitAfter = (end: Promise<void>) =>
    end.then(
      () => {
        logger.info('stopped');
        process.exit(0);
      },
      (thrown) => fail('stop failed', thrown, 1),
    );
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping || !runnable) process.exit(stopping ? 1 : 0);
    stopping = true;
    logger.info({ reason: signal }, 'stopping');
    const end = runnable.stop();
    notifier?.stopping();
    exitAfter(end);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', (thrown) => fail('uncaught exception', thrown, 1));
  process.on('unhandledRejection', (thrown) => fail('unhandled rejection', thrown, 1));
  try {
    notifier = await openServiceNotifier(() => runnable?.statusLine);
    runnable = await create();
    await runnable.start();
    if (!stopping) notifier?.ready();
    logger.info('started');
    if (runnable.ended) exitAfter(runnable.ended);
  } catch (thrown) {
    if (thrown instanceof ConfigError) {
      process.stderr.write(`${thrown.message}\n${thrown.hint ? `${thrown.hint}\n` : ''}`);
      fail('unusable configuration', thrown, 2);
    }
    const hint = thrown instanceof OramaError ? thrown.hint : undefined;
    process.stderr.write(`start failed: ${describeError(thrown)}\n${hint ? `${hint}\n` : ''}`);
    fail('start failed', thrown, 1);
  }
}
