import { configPathFromArgs, loadConfigFile, runMain } from '@orama/core';
import { createLogger } from '@orama/core/logger';
import { turnConfigSchema } from '@orama/protocol';
import { TurnService } from '@orama/turn';

const bootLogger = createLogger({ svc: 'turn' });

await runMain(bootLogger, async () => {
  const config = await loadConfigFile(turnConfigSchema, configPathFromArgs(process.argv.slice(2), 'turn'));
  const logger = createLogger({ svc: 'turn', level: config.logLevel, node: config.node });
  if (config.engine === 'orama') return new TurnService(config, logger);
  const { NodeTurnService } = await import('@orama/turn/node-turn');
  return new NodeTurnService(config, logger);
});
