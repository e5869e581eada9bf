import { ConfigFile, configPathFromArgs, loadConfigFile, readSecretFile, runMain } from '@orama/core';
import { createLogger } from '@orama/core/logger';
import { sfuConfigSchema } from '@orama/protocol';
import { Sfu } from '@orama/sfu';

const logger = createLogger({ svc: 'sfu' });

await runMain(logger, async () => {
  const path = configPathFromArgs(process.argv.slice(2), 'orama-sfu');
  const config = await loadConfigFile(sfuConfigSchema, path);
  const { logLevel, node, namespace } = config;
  return new Sfu({
    config,
    configFile: new ConfigFile(sfuConfigSchema, path),
    secret: readSecretFile(config.secretFile),
    logger: createLogger({ svc: 'sfu', level: logLevel, node, ns: namespace }),
  });
});
