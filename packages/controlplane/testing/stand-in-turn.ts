// Stands in for the TURN server in tests: keeps tenants as told over its control socket, in memory. What it relayed is
// what `PUT /usage` says.
import { rmSync } from 'node:fs';
import {
  configPathFromArgs,
  createInternalServer,
  type InternalHandler,
  listen,
  loadConfigFile,
  turnTenantDigest,
  UserError,
} from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import {
  type TurnServerStatus,
  type TurnTenantStatus,
  type TurnTenantUsage,
  turnConfigSchema,
  turnDrainSchema,
  turnTenantSchema,
} from '@orama/protocol';

const config = await loadConfigFile(turnConfigSchema, configPathFromArgs(process.argv.slice(2), 'stand-in-turn'));
const tenants = new Map<string, TurnTenantStatus>();
const boot = `${process.pid}-${Date.now()}`;
const status: TurnServerStatus = {
  allocations: 0,
  relayPortsBound: 0,
  draining: false,
  workers: [{ id: 0, allocations: 0 }],
  certificates: [],
};
let usage: TurnTenantUsage[] = [];

const answers: Record<string, InternalHandler> = {
  'GET /tenants': () => ({ status: 200, body: { tenants: [...tenants.values()] } }),
  'GET /usage': () => ({ status: 200, body: { boot, tenants: usage } }),
  'PUT /usage': ({ body }) => {
    usage = JSON.parse(body) as TurnTenantUsage[];
    return { status: 204 };
  },
  'GET /status': () => ({ status: 200, body: status }),
  'POST /drain': ({ body }) => {
    const { deadlineMs = config.drainTimeoutMs } = turnDrainSchema.parse(JSON.parse(body));
    Object.assign(status, { draining: true, drainEndsAt: Date.now() + deadlineMs });
    setTimeout(() => process.exit(0), deadlineMs);
    return { status: 202, body: status };
  },
};

const control = createInternalServer((request) => {
  const { method, path, body } = request;
  const answer = answers[`${method} ${path}`];
  if (answer) return answer(request);
  const [, , namespace = '', what, ip] = path.split('/');
  if (what === 'peers') return { status: 200, body: { allowed: false, rule: `asked-for-${ip}` } };
  if (method === 'DELETE') {
    if (tenants.delete(namespace)) return { status: 204 };
    throw new UserError('NAMESPACE_NOT_FOUND', `no tenant ${namespace} is attached`);
  }
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
  ({ path }) => (path === '/readyz' ? { status: status.draining ? 503 : 200, body: { status: 'ready' } } : undefined),
  silentLogger,
);
process.on('SIGTERM', () => process.exit(0));
rmSync(config.controlSocket, { force: true });
await listen(control, { path: config.controlSocket });
await listen(internal, config.internal);
