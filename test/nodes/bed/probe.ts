import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

/** As long as an answer on one machine may take; what a firewall drops is silent. */
const PATIENCE_MS = 1_000;
/** A binding request of STUN (RFC 8489), which a TURN server answers. */
const STUN_BINDING = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');

// Tells of each `<protocol>/<address>/<port>` how it is seen from here: `open`, `refused`, or `silent`.
const targets = process.argv.slice(2);
const seen = await Promise.all(targets.map((target) => probe(target)));
console.log(JSON.stringify(Object.fromEntries(targets.map((target, index) => [target, seen[index]]))));

function probe(target: string): Promise<string> {
  const [protocol, address = '', port] = target.split('/');
  return protocol === 'tcp' ? probeTcp(address, Number(port)) : probeUdp(address, Number(port));
}

function probeTcp(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: PATIENCE_MS });
    const end = (how: string) => {
      socket.destroy();
      resolve(how);
    };
    socket.once('connect', () => end('open'));
    socket.once('timeout', () => end('silent'));
    socket.once('error', (thrown: NodeJS.ErrnoException) => end(thrown.code === 'ECONNREFUSED' ? 'refused' : 'silent'));
  });
}

/** A port that nobody has refuses, unless a firewall drops what comes to it. */
function probeUdp(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (how: string) => {
      clearTimeout(timer);
      socket.close();
      resolve(how);
    };
    const timer = setTimeout(() => end('silent'), PATIENCE_MS);
    socket.once('message', () => end('open'));
    socket.once('error', () => end('refused'));
    socket.connect(port, address, () => socket.send(STUN_BINDING));
  });
}
