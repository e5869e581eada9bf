import { once } from 'node:events';
import { waitFor } from '@orama/testkit';
import { WebSocket } from 'ws';
import { residentKb } from '../../bench/machine.ts';

/** Where Node opens its inspector on SIGUSR1: one process at a time. */
const INSPECTOR = 'http://127.0.0.1:9229/json/list';

/**
 * What a service's process holds, in kilobytes: its resident memory right after a full collection. Without one it also has
 * what was let go since the last, which in an SFU may be ten minutes ago.
 */
export async function heldMemory(pid: number): Promise<number> {
  process.kill(pid, 'SIGUSR1');
  const url = await waitFor('the inspector of the SFU', async () => {
    const targets = (await (await fetch(INSPECTOR)).json()) as { webSocketDebuggerUrl: string }[];
    return targets[0]?.webSocketDebuggerUrl;
  });
  const inspector = new WebSocket(url);
  await once(inspector, 'open');
  inspector.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }));
  await once(inspector, 'message');
  inspector.close();
  await once(inspector, 'close');
  return residentKb(pid);
}
