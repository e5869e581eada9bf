import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OramaError, writeFileAtomic } from '@orama/core';
import type { WireguardPeer } from '@orama/protocol';

const FOLDER = '/etc/wireguard';
const FIRST_LINE =
  '# Made by "orama node". Peers below a line "# orama: <node>" are kept by its controlplane; others are yours.';
const TAG = '# orama: ';
/** A node behind a firewall that forgets must be reachable all the same. */
export const KEEPALIVE_SEC = 25;

/** The file of an interface, for wg-quick(8), as far as it is ours: everything else is kept as it stands. */
export interface ConfFile {
  privateKey: string;
  /** With the prefix length of the network; absent until the node has one. */
  address: string | undefined;
  listenPort: number;
  peers: WireguardPeer[];
  /** Sections that somebody else wrote. */
  foreign: string;
}

export function confFileOf(interfaceName: string): string {
  return join(FOLDER, `${interfaceName}.conf`);
}

/** The file, or null where there is none. Throws CONFLICT for one that is not ours. */
export async function readConfFile(interfaceName: string): Promise<ConfFile | null> {
  const file = confFileOf(interfaceName);
  const text = await readText(file);
  if (text === null) return null;
  const conf = parseConf(text);
  if (conf) return conf;
  throw new OramaError('CONFLICT', `${file} was not made by orama, and is left alone`, {
    hint: `take another name with --wireguard-interface, or bring that interface up (wg-quick up ${interfaceName}) to use it as it is`,
  });
}

/** Names of the interfaces whose files are ours. */
export async function ownInterfaces(): Promise<string[]> {
  const names = (await readdir(FOLDER).catch(() => [])).flatMap((file) => /^(.+)\.conf$/.exec(file)?.[1] ?? []);
  const texts = await Promise.all(names.map((name) => readText(confFileOf(name))));
  return names.filter((_, index) => texts[index]?.startsWith(FIRST_LINE));
}

async function readText(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw thrown;
  }
}

/** Readable by nobody else: it holds the private key. */
export function writeConfFile(interfaceName: string, conf: ConfFile): Promise<void> {
  return writeFileAtomic(confFileOf(interfaceName), formatConf(conf));
}

/** Null for a file that is not ours. */
export function parseConf(text: string): ConfFile | null {
  if (!text.startsWith(FIRST_LINE)) return null;
  const [head = '', ...sections] = splitSections(text.slice(FIRST_LINE.length));
  const settings = settingsOf(head);
  const privateKey = settings.get('PrivateKey');
  const listenPort = Number(settings.get('ListenPort'));
  if (privateKey === undefined || !Number.isInteger(listenPort)) return null;
  const peers: WireguardPeer[] = [];
  const foreign: string[] = [];
  for (const section of sections) {
    const peer = peerOf(section);
    if (peer) peers.push(peer);
    else foreign.push(section);
  }
  return { privateKey, address: settings.get('Address'), listenPort, peers, foreign: foreign.join('\n\n') };
}

export function formatConf({ privateKey, address, listenPort, peers, foreign }: ConfFile): string {
  const sections = [
    [
      ...[FIRST_LINE, '[Interface]', `PrivateKey = ${privateKey}`, `ListenPort = ${listenPort}`],
      ...(address === undefined ? [] : [`Address = ${address}`]),
    ].join('\n'),
    ...peers.map(({ node, publicKey, endpoint, wireguardIp }) =>
      [
        ...[`${TAG}${node}`, '[Peer]', `PublicKey = ${publicKey}`, `Endpoint = ${endpoint}`],
        ...[`AllowedIPs = ${hostRoute(wireguardIp)}`, `PersistentKeepalive = ${KEEPALIVE_SEC}`],
      ].join('\n'),
    ),
    ...(foreign === '' ? [] : [foreign]),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** The network of one address. */
export function hostRoute(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`;
}

/** The interface's own section first. A comment belongs to the section that it stands before. */
function splitSections(text: string): string[] {
  const sections: string[][] = [[]];
  let comments: string[] = [];
  for (const line of text.split('\n')) {
    if (/^\s*#/.test(line)) {
      comments.push(line);
      continue;
    }
    if (line.trim() === '[Peer]') sections.push([]);
    sections.at(-1)?.push(...comments, line);
    comments = [];
  }
  sections.at(-1)?.push(...comments);
  return sections.map((lines) => lines.join('\n').trim());
}

function peerOf(section: string): WireguardPeer | null {
  const node = section.startsWith(TAG) ? section.slice(TAG.length, section.indexOf('\n')).trim() : undefined;
  const settings = settingsOf(section);
  const [publicKey, endpoint] = [settings.get('PublicKey'), settings.get('Endpoint')];
  const wireguardIp = settings.get('AllowedIPs')?.split('/')[0];
  if (node === undefined || publicKey === undefined || endpoint === undefined || wireguardIp === undefined) return null;
  return { node, publicKey, endpoint, wireguardIp };
}

function settingsOf(section: string): Map<string, string> {
  const lines = section.matchAll(/^\s*(\w+)\s*=\s*(.*?)\s*$/gm);
  return new Map(Array.from(lines, ([, name = '', value = '']) => [name, value]));
}
