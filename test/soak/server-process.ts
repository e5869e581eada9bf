// The soaked server as a process of its own: `node server-process.ts <workers>`, asked over the channel of its parent.
import { realPace } from './pace.ts';
import { LocalServer } from './server.ts';

const server = await LocalServer.start(Number(process.argv[2]), realPace());
process.on('message', async () => process.send?.(await server.measure()));
process.once('disconnect', () => void server.close());
process.send?.(server.addresses);
