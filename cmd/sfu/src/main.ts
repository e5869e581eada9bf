import { configPathFromArgs, createLogger, loadConfigFile, readSecretFile, runMain } from '@orama/core';
import { sfuConfigSchema } from '@orama/protocol';
import { Sfu } from '@orama/sfu';

const logger = createLogger({ svc: 'sfu' });

await runMain(logger, () => {
  const config = loadConfigFile(sfuConfigSchema, configPathFromArgs(process.argv.slice(2), 'orama-sfu'));
  const { logLevel, node, namespace } = config;
  return new Sfu({
    config,
    secret: readSecretFile(config.secretFile),
    logger: createLogger({ svc: 'sfu', level: logLevel, node, ns: namespace }),
  });
});
