import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describeError, type Logger } from '@orama/core';

/**
 * Has the kernel take all threads of this process, those to come and its children for batch work (sched(7)): one that is
 * woken waits until the one that runs has nothing to do or its slice is over. A packet passes three threads of ours, and
 * each would else interrupt the one that sends, often while it holds what they need. Needs no privilege; Node has no call
 * for it. Where it is not possible everything works as well, at a higher price for a packet.
 */
export async function scheduleAsBatch(logger: Logger): Promise<void> {
  try {
    await promisify(execFile)('chrt', ['--batch', '--all-tasks', '--pid', '0', String(process.pid)]);
  } catch (thrown) {
    logger.warn(
      { reason: describeError(thrown) },
      'threads interrupt each other: chrt of util-linux could not be used',
    );
  }
}
