import { OramaError, openServiceNotifier } from '@orama/core';
import { namespaceNameSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, schemaOption } from '../../options.ts';
import { pause } from '../../wait.ts';

const LOOK_MS = 1_000;

export function turnAttachCommand(): Command {
  return new Command('attach')
    .description(
      'keep a namespace on the TURN server of this node until told to end, then detach it; for a unit of systemd, and nothing where the controlplane does so itself',
    )
    .requiredOption('--ns, --namespace <name>', 'the namespace', schemaOption(namespaceNameSchema))
    .addHelpText(
      'after',
      examples(
        'orama turn attach --namespace myapp --api http://127.0.0.1:6001 --cluster-key-file /etc/orama/cluster.key',
      ),
    )
    .action(withContext(attach));
}

async function attach(context: Context, { namespace }: { namespace: string }): Promise<void> {
  // Only this command logs as our daemons do.
  const { createLogger } = await import('@orama/core/logger');
  const { Attachment } = await import('../../turn-attach/attachment.ts');
  const logger = createLogger({ svc: 'turn-attach', ns: namespace });
  const attachment = new Attachment(connect(context), namespace, logger);
  const notifier = await openServiceNotifier(() => attachment.status);
  let isReady = false;
  try {
    await withInterrupt(async (signal) => {
      while (await attachment.keep()) {
        if (attachment.isKept && !isReady) notifier?.ready();
        isReady ||= attachment.isKept;
        await pause(LOOK_MS, signal);
      }
    });
  } catch (thrown) {
    notifier?.stopping();
    await attachment.end();
    if (thrown instanceof Interrupted) return;
    throw thrown;
  }
  await attachment.end();
  throw new OramaError('WEBRTC_NOT_ENABLED', `this node serves no TURN for namespace ${namespace}`, {
    hint: `see where it is served: orama namespace webrtc-status --namespace ${namespace}`,
  });
}
