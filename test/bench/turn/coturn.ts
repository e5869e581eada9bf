import { execFileSync } from 'node:child_process';
import { ServerProcess } from '../server-process.ts';
import { ADDRESSES, type Engine, REALM, RELAY_PORTS, type RunningEngine, SECRET, SERVER_PORT } from './engine.ts';

/** Debian's coturn with one relay thread, REST credentials and no log of single packets. */
export function coturn(): Engine {
  const version = execFileSync('turnserver', ['--version'], { encoding: 'utf8' }).trim();
  return {
    name: 'coturn',
    description: `coturn ${version}, --relay-threads=1, --use-auth-secret`,
    start,
  };
}

async function start(placed: readonly string[], directory: string): Promise<RunningEngine> {
  const server = await ServerProcess.start(directory, [
    ...placed,
    'turnserver',
    '-n',
    `--listening-ip=${ADDRESSES.server}`,
    `--listening-port=${SERVER_PORT}`,
    `--relay-ip=${ADDRESSES.relay}`,
    `--min-port=${RELAY_PORTS.start}`,
    `--max-port=${RELAY_PORTS.end}`,
    `--realm=${REALM}`,
    '--use-auth-secret',
    `--static-auth-secret=${SECRET}`,
    '--relay-threads=1',
    '--allow-loopback-peers',
    '--no-tls',
    '--no-dtls',
    '--no-cli',
    '--log-file=stdout',
    `--pidfile=${directory}/coturn.pid`,
    `--userdb=${directory}/coturn.db`,
  ]);
  try {
    return await server.until((log) => /relay thread|Relay address|IPv4\. UDP listener opened/i.test(log));
  } catch (thrown) {
    await server.stop();
    throw thrown;
  }
}
