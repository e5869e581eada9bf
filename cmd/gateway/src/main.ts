import { join } from 'node:path';
import { configPathFromArgs, INSTALL_DIR, loadConfigFile, readSecretFile, runMain } from '@orama/core';
import { createLogger } from '@orama/core/logger';
import { Gateway } from '@orama/gateway';
import { gatewayConfigSchema } from '@orama/protocol';
import { openStore } from '@orama/store';

/** Built by packages/call-page. */
const callPageDir = join(INSTALL_DIR, 'packages/call-page/dist/page');
const bootLogger = createLogger({ svc: 'gateway' });

await runMain(bootLogger, async () => {
  const config = await loadConfigFile(gatewayConfigSchema, configPathFromArgs(process.argv.slice(2), 'gateway'));
  const clusterKey = readSecretFile(config.clusterKeyFile);
  const database = await openStore(config.store);
  const logger = createLogger({ svc: 'gateway', node: config.node, level: config.logLevel });
  return new Gateway({ config, clusterKey, database, logger, callPageDir });
});
