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

/** In 36 hours a time in sixteenths of a millisecond turns over in 32 bits, which is how TURN keeps it for each source. */
const BURST_MAX_SEC = 129_600;

/** Unauthenticated requests that TURN answers one source: so many at once, then so many a second. */
export const unauthenticatedRateSchema = z
  .strictObject({ burst: z.int().positive(), perSec: z.number().positive() })
  .refine(({ burst, perSec }) => burst / perSec <= BURST_MAX_SEC, {
    error: 'burst divided by perSec may be 129600 seconds at most: raise it, or lower burst',
    path: ['perSec'],
  })
  .default({ burst: 60, perSec: 30 });

/** How long a nonce of TURN is good for; RFC 8489 section 9.2.4 leaves it to the server. */
export const nonceLifetimeSecSchema = z.int().positive().max(86_400).default(3600);
