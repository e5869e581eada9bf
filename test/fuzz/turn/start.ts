import { startHanded } from './handed.ts';
import { InProcess } from './in-process.ts';
import { type Mode, type ServerUnderTest, type Taps, UNLIMITED } from './server-under-test.ts';
import { Threads } from './threads.ts';
import { Wire } from './wire.ts';

/** Starts a server, and the way to it. It has no tenant yet. */
export async function startServer(mode: Mode, taps: Taps): Promise<ServerUnderTest> {
  if (mode === 'handed') return startHanded(taps);
  const host = await (mode === 'batched' ? InProcess.start(taps, UNLIMITED) : Threads.start(taps));
  try {
    return { host, way: await Wire.open(host.ports.turn, taps) };
  } catch (thrown) {
    await host.close();
    throw thrown;
  }
}
