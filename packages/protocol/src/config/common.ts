import { z } from 'zod';

/** pino levels. */
export const logLevelSchema = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info');

/** `a.b.c.d/nn` or IPv6 with a prefix length. */
export const cidrSchema = z.union([z.cidrv4(), z.cidrv6()]);

/** Where a TURN server has /healthz, /readyz and /metrics unless configured. */
export const TURN_INTERNAL_PORT = 6003;

/** Milliseconds that a timer can wait: above 2^31 - 1 Node's would end at once. */
export const timerMsSchema = z
  .int()
  .positive()
  .max(2 ** 31 - 1);
