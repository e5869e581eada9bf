// The map of what every process shares.
export * from './address-policy.ts';
export * from './atomic-file.ts';
export * from './backoff.ts';
export * from './clock.ts';
export * from './config/load.ts';
export * from './errors.ts';
export * from './failpoints.ts';
export * from './ids.ts';
export * from './internal-http.ts';
export * from './lifecycle.ts';
export * from './logger.ts';
export * from './metrics.ts';
export * from './secret-box.ts';
export * from './signed-request.ts';
export * from './token-bucket.ts';
export * from './turn-credentials.ts';
export * from './turn-tenant.ts';
