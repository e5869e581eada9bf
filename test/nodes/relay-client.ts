// A client of TURN over TLS that sends itself numbered packets through its relay address, one every 10 ms, until its
// input ends. Then it prints how many it sent and which came back.
//   node relay-client.ts <address> <port> <server name> <username> <password>
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { TurnClient } from '@orama/turn/client';

const CHANNEL = 0x4000;
/** It says that it relays when so many have come back. */
const WARM = 50;
const [address = '', port = '', servername = '', username = '', password = ''] = process.argv.slice(2);

const client = await TurnClient.open({
  transport: 'tls',
  server: { address, port: Number(port) },
  tls: { servername },
  username,
  password,
});
const { relayed } = await client.allocate();
await client.channelBind(CHANNEL, relayed.address, relayed.port);
const received = new Set<number>();
client.onData(({ data }) => {
  received.add(data.readUInt32BE());
  if (received.size === WARM) process.stdout.write('relaying\n');
});

const ended = once(process.stdin.resume(), 'end');
let sent = 0;
let going = true;
void ended.then(() => {
  going = false;
});
while (going) {
  const packet = Buffer.alloc(200);
  packet.writeUInt32BE(sent++);
  client.channelData(CHANNEL, packet);
  await delay(10);
}
for (let patience = 0; received.size < sent && patience < 100; patience++) await delay(10);
process.stdout.write(`${JSON.stringify({ sent, received: received.size })}\n`);
await client.close();
