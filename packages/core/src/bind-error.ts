import { OramaError } from './errors.ts';

/** An address that a process is to have, and where its configuration says so. */
export interface WantedAddress {
  readonly transport: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /** What the configuration calls it. */
  readonly field?: string;
}

/** The system's error of a `bind` or `listen` as UNAVAILABLE, which names field, address, port and the next step. */
export function bindError(cause: NodeJS.ErrnoException, wanted: WantedAddress): OramaError {
  const { transport, address, port, field } = wanted;
  const [reason, hint] = explain(cause, wanted);
  const message = `${transport.toUpperCase()} port ${port} of ${address} ${reason}`;
  return new OramaError('UNAVAILABLE', field === undefined ? message : `${field}: ${message}`, { cause, hint });
}

/** Why it cannot be had, and the next step. */
function explain(
  { code, message }: NodeJS.ErrnoException,
  { transport, port, field = 'address' }: WantedAddress,
): readonly [string, string] {
  switch (code) {
    case 'EADDRINUSE': {
      const command = `ss -lnp${transport === 'tcp' ? 't' : 'u'} 'sport = :${port}'`;
      return ['is in use by another program', `stop the one that ${command} names, or configure another ${field}`];
    }
    case 'EADDRNOTAVAIL':
      return ['cannot be had: this machine has no such address', `configure ${field} with an address of "ip address"`];
    case 'EACCES':
      return [
        'may not be used by this user',
        `configure ${field} with a port above 1023, or give the process CAP_NET_BIND_SERVICE`,
      ];
    default:
      return [`cannot be had: ${message}`, `check ${field} in the configuration`];
  }
}
