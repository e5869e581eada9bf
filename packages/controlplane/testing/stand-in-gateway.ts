// Stands in for the gateway in tests: ready as soon as it listens.
import { configPathFromArgs, createInternalServer, listen, loadConfigFile } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { gatewayConfigSchema } from '@orama/protocol';

const config = await loadConfigFile(gatewayConfigSchema, configPathFromArgs(process.argv.slice(2), 'stand-in-gateway'));
const server = createInternalServer(
  ({ path }) => (path === '/readyz' ? { status: 200, body: { status: 'ready' } } : undefined),
  silentLogger,
);
process.on('SIGTERM', () => process.exit(0));
await listen(server, config.internal);
