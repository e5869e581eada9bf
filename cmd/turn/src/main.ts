import { configPathFromArgs, createLogger, loadConfigFile, runMain } from '@orama/core';
import { turnConfigSchema } from '@orama/protocol';
import { TurnService } from '@orama/turn';

const bootLogger = createLogger({ svc: 'turn' });

await runMain(bootLogger, () => {
  const config = loadConfigFile(turnConfigSchema, configPathFromArgs(process.argv.slice(2), 'turn'));
  return new TurnService(config, createLogger({ svc: 'turn', level: config.logLevel, node: config.node }));
});
