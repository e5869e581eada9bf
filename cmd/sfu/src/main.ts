import { ConfigFile, configPathFromArgs, createLogger, loadConfigFile, readSecretFile, runMain } from '@orama/core';
import { sfuConfigSchema } from '@orama/protocol';
import { Sfu } from '@orama/sfu';

const logger = createLogger({ svc: 'sfu' });

await runMain(logger, () => {
  const path = configPathFromArgs(process.argv.slice(2), 'orama-sfu');
  const config = loadConfigFile(sfuConfigSchema, path);
  const { logLevel, node, namespace } = config;
  return new Sfu({
    config,
    configFile: new ConfigFile(sfuConfigSchema, path),
    secret: readSecretFile(config.secretFile),
    logger: createLogger({ svc: 'sfu', level: logLevel, node, ns: namespace }),
  });
});
