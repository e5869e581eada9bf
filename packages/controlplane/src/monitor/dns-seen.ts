import { readFile } from 'node:fs/promises';
import { describeError } from '@orama/core';
import { type ControlplaneConfig, type DnsSeen, localAddressOf, namespaceHost, turnDomain } from '@orama/protocol';
import { probeDns } from './probes.ts';

const DNS_PORT = 53;
const NAMES_AT_A_TIME = 10;

type Name = Pick<DnsSeen, 'name' | 'namespace' | 'kind'>;
type Ask = (name: string) => Promise<string[]>;

/** What the DNS servers that this node knows of answer for the names of namespaces. */
export async function seeDns(config: ControlplaneConfig, namespaces: readonly string[]): Promise<DnsSeen[]> {
  const names = namespaces.flatMap((namespace): Name[] => [
    { name: turnDomain(namespace, config.baseDomain), namespace, kind: 'turn' },
    { name: namespaceHost(namespace, config.baseDomain), namespace, kind: 'gateway' },
  ]);
  const seen = await Promise.all(serversOf(config).map(([asked, ask]) => askAll(asked, ask, names)));
  return seen.flat();
}

/** Asks a server for all names, some at a time: it has a rate for each source. One that answers nothing is not asked on. */
async function askAll(asked: string, ask: Ask, names: readonly Name[]): Promise<DnsSeen[]> {
  const seen: DnsSeen[] = [];
  let isSilent = false;
  for (let first = 0; first < names.length; first += NAMES_AT_A_TIME) {
    const some = names.slice(first, first + NAMES_AT_A_TIME);
    const answers = await Promise.all(
      some.map(async (name): Promise<DnsSeen> => {
        try {
          if (isSilent) throw new Error('it answered nothing before');
          return { ...name, asked, addresses: await ask(name.name), reason: null };
        } catch (thrown) {
          return { ...name, asked, addresses: null, reason: describeError(thrown) };
        }
      }),
    );
    seen.push(...answers);
    isSilent = answers.every(({ addresses }) => addresses === null);
  }
  return seen;
}

function serversOf(config: ControlplaneConfig): [asked: string, ask: Ask][] {
  const { dns, publicIp, publicIp6 } = config;
  if (dns.writer === 'file') return [[`file ${dns.file}`, (name) => readRecords(dns.file, name)]];
  // PowerDNS tells by its API alone where its zone is, not where it answers.
  if (dns.writer === 'powerdns') return [['resolver', (name) => probeDns(null, name)]];
  const own = publicIp6 === undefined ? [publicIp] : [publicIp, publicIp6];
  const listen =
    dns.writer === 'rfc2136'
      ? [dns.server]
      : (dns.listen ?? own.map((address) => ({ address: localAddressOf(config, address), port: DNS_PORT })));
  return listen.map(({ address, port }) => {
    const server = `${address.includes(':') ? `[${address}]` : address}:${port}`;
    return [server, (name) => probeDns(server, name)];
  });
}

/** Addresses of a name in a master file as our writer has it. */
async function readRecords(file: string, name: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').map((line) => line.split(' '));
  return lines
    .flatMap(([owner, , , type, value]) =>
      owner === `${name}.` && (type === 'A' || type === 'AAAA') ? [value ?? ''] : [],
    )
    .sort();
}
