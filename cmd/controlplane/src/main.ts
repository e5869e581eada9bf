import { readFileSync } from 'node:fs';
import { Controlplane } from '@orama/controlplane';
import { configPathFromArgs, loadConfigFile, readSecretFile, runMain } from '@orama/core';
import { createLogger } from '@orama/core/logger';
import { controlplaneConfigSchema } from '@orama/protocol';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

await runMain(createLogger({ svc: 'controlplane' }), async () => {
  const config = await loadConfigFile(
    controlplaneConfigSchema,
    configPathFromArgs(process.argv.slice(2), 'orama-controlplane'),
  );
  return new Controlplane({
    config,
    clusterKey: readSecretFile(config.clusterKeyFile),
    version,
    logger: createLogger({ svc: 'controlplane', node: config.node, level: config.logLevel }),
  });
});
