// Stands in for the TURN server in tests: keeps tenants as told over its control socket, in memory.
import { rmSync } from 'node:fs';
import {
  configPathFromArgs,
  createInternalServer,
  listen,
  loadConfigFile,
  silentLogger,
  turnTenantDigest,
} from '@orama/core';
import { type TurnTenantStatus, turnConfigSchema, turnTenantSchema } from '@orama/protocol';

const config = loadConfigFile(turnConfigSchema, configPathFromArgs(process.argv.slice(2), 'stand-in-turn'));
const tenants = new Map<string, TurnTenantStatus>();
const control = createInternalServer(({ method, path, body }) => {
  if (method === 'GET' && path === '/tenants') return { status: 200, body: { tenants: [...tenants.values()] } };
  const namespace = path.slice('/tenants/'.length);
  if (method === 'DELETE') return { status: tenants.delete(namespace) ? 204 : 404 };
  if (method !== 'PUT') return undefined;
  const tenant = turnTenantSchema.parse(JSON.parse(body));
  tenants.set(namespace, {
    namespace,
    generation: tenant.generation,
    digest: turnTenantDigest(tenant),
    allocations: 0,
  });
  return { status: 200, body: tenants.get(namespace) };
}, silentLogger);
const internal = createInternalServer(
  ({ path }) => (path === '/readyz' ? { status: 200, body: { status: 'ready' } } : undefined),
  silentLogger,
);
process.on('SIGTERM', () => process.exit(0));
rmSync(config.controlSocket, { force: true });
await listen(control, { path: config.controlSocket });
await listen(internal, config.internal);
