// An SFU in a process of its own, so that a test can kill it; it says its address when it runs.
import { startSfu } from './running-sfu.ts';

const [node = ''] = process.argv.slice(2);
const { address } = await startSfu({ node });
process.stdout.write(`${address}\n`);
// Its timers do not keep it alive, and it has no sockets but the listening one.
process.stdin.resume();
