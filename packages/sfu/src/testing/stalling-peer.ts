// A peer of its own process, so that a test can stop it in the middle: it joins, and says when a data channel is open to it.
import { once } from 'node:events';
import { SFU_TICKET_HEADER } from '@orama/protocol';
import { WebSocket } from 'ws';
import { TestPeer, until } from './test-peer.ts';

const [url = '', ticket = ''] = process.argv.slice(2);
const peer = new TestPeer(new WebSocket(url, { headers: { [SFU_TICKET_HEADER]: ticket } }));
await once(peer.socket, 'open');
peer.send({ type: 'join' });
await peer.next('welcome');
await until('a message', () => peer.channels.some(({ messages }) => messages.length > 0));
process.stdout.write('receiving\n');
