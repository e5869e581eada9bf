import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Engine, Feature } from '../rule.ts';
import { EngineProcess, makePlace, REALM, SECRET, TTL_SEC } from './process.ts';

const run = promisify(execFile);

/** Debian's coturn with REST credentials, in one thread, and without the old forms that its help advises against. */
export const coturn: Engine = {
  name: 'coturn',
  offers: new Set<Feature>(['tcp', 'tls', 'ipv6', 'limits']),
  async start(size) {
    const place = await makePlace('coturn', size);
    const [key, cert] = [join(place.dir, 'key.pem'), join(place.dir, 'cert.pem')];
    const subject = ['-subj', '/CN=turn.orama.localhost', '-days', '2'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    await run('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject]);
    const running = await EngineProcess.start(place, 'turnserver', [
      '-n',
      '--log-file=stdout',
      `--userdb=${join(place.dir, 'users')}`,
      `--pidfile=${join(place.dir, 'pid')}`,
      '--no-cli',
      '--no-dtls',
      '--no-rfc5780',
      '--no-stun-backward-compatibility',
      '--response-origin-only-with-rfc5780',
      '--relay-threads=0',
      `--listening-ip=${place.listen}`,
      '--listening-ip=::1',
      `--relay-ip=${place.relay}`,
      '--relay-ip=::1',
      `--listening-port=${place.port}`,
      `--tls-listening-port=${place.tlsPort}`,
      `--min-port=${place.relayPorts.first}`,
      `--max-port=${place.relayPorts.last}`,
      `--realm=${REALM}`,
      '--use-auth-secret',
      `--static-auth-secret=${SECRET}`,
      `--cert=${cert}`,
      `--pkey=${key}`,
      '--allow-loopback-peers',
      `--denied-peer-ip=${place.addresses.forbiddenPeer}`,
      ...(size === 'tight' ? ['--user-quota=2'] : []),
    ]);
    const nowSec = Math.floor(Date.now() / 1000);
    return {
      ...place,
      address: place.listen,
      // Quotas count by what follows the colon.
      credentials(user = 0, ttlSec = TTL_SEC) {
        const username = `${nowSec + ttlSec}:user${user}`;
        return { username, password: createHmac('sha1', SECRET).update(username).digest('base64') };
      },
      stop: () => running.stop(),
    };
  },
};
