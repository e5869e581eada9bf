import { callPageDir } from '@orama/call-page';
import { configPathFromArgs, createLogger, loadConfigFile, readSecretFile, runMain } from '@orama/core';
import { Gateway } from '@orama/gateway';
import { gatewayConfigSchema } from '@orama/protocol';
import { openStore } from '@orama/store';

const bootLogger = createLogger({ svc: 'gateway' });

await runMain(bootLogger, async () => {
  const config = loadConfigFile(gatewayConfigSchema, configPathFromArgs(process.argv.slice(2), 'gateway'));
  const clusterKey = readSecretFile(config.clusterKeyFile);
  const database = await openStore(config.store);
  const logger = createLogger({ svc: 'gateway', node: config.node, level: config.logLevel });
  return new Gateway({ config, clusterKey, database, logger, callPageDir });
});
