import { openServiceNotifier } from '@orama/core';
import { namespaceNameSchema } from '@orama/protocol';
import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, schemaOption } from '../../options.ts';
import { pause } from '../../wait.ts';

const LOOK_MS = 1_000;
/** In looks. */
const TELL_EVERY = 5;
const SUMMARY_EVERY = 30;

interface Options {
  namespace: string;
  tenantFile: string;
  controlSocket: string;
}

export function turnAttachCommand(): Command {
  return new Command('attach')
    .description(
      'keep a namespace on the TURN server of this node until told to end, then detach it; a unit of systemd runs it',
    )
    .requiredOption('--ns, --namespace <name>', 'the namespace', schemaOption(namespaceNameSchema))
    .requiredOption('--tenant-file <file>', 'what is to be attached, as the controlplane writes it')
    .requiredOption('--control-socket <file>', 'control socket of the TURN server')
    .addHelpText(
      'after',
      examples(
        'orama turn attach --namespace myapp --tenant-file /run/orama/tenants/myapp/tenant.json --control-socket /var/lib/orama/run/turn.sock',
      ),
    )
    .action(onThisMachine(attach));
}

async function attach(_context: Context, { namespace, tenantFile, controlSocket }: Options): Promise<void> {
  // Only this command logs as our daemons do.
  const { createLogger } = await import('@orama/core/logger');
  const { Attachment } = await import('../../turn-attach/attachment.ts');
  const logger = createLogger({ svc: 'turn-attach', ns: namespace });
  const attachment = new Attachment({ namespace, tenantFile, controlSocket, logger });
  const notifier = await openServiceNotifier(() => attachment.status);
  try {
    await withInterrupt(async (signal) => {
      for (let look = 0; ; look++) {
        await attachment.keep();
        if (look % TELL_EVERY === 0) await attachment.tell();
        if (look % SUMMARY_EVERY === 0) await attachment.summarize();
        // It has begun, also where it waits for a server: who starts both must not wait for the other.
        if (look === 0) notifier?.ready();
        await pause(LOOK_MS, signal);
      }
    });
  } catch (thrown) {
    notifier?.stopping();
    await attachment.end();
    if (!(thrown instanceof Interrupted)) throw thrown;
  } finally {
    notifier?.close();
  }
}
