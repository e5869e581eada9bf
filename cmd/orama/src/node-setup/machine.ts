import { existsSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { runTool } from '@orama/controlplane/run-tool';
import { wireguardInterfaces } from '@orama/controlplane/wireguard';
import { specialRangeOf, UserError } from '@orama/core';
import { nodeIdSchema } from '@orama/protocol';
import { ProcessLock } from '../process-lock.ts';
import { PATHS, USER } from './paths.ts';

/** An address of a network interface of this machine. */
export interface LocalAddress {
  interface: string;
  address: string;
  /** With the prefix length of its network. */
  cidr: string;
}

/**
 * Does what makes this machine a node, or none any more, while nothing else does. Throws before anything is written:
 * CONFLICT while another command is at it, FORBIDDEN or PRECONDITION_FAILED where the machine cannot be a node.
 */
export async function aloneOnMachine<T>(work: () => Promise<T>): Promise<T> {
  requireNodeMachine();
  const lock = ProcessLock.acquire(PATHS.lock, ({ pid }) => {
    return new UserError('CONFLICT', `another "orama node" is at work on this machine (process ${pid})`, {
      hint: 'run the same command again when that has ended',
    });
  });
  try {
    return await work();
  } finally {
    lock.release();
  }
}

function requireNodeMachine(): void {
  if (process.getuid?.() !== 0) {
    throw new UserError('FORBIDDEN', 'making this machine a node changes its network and its services', {
      hint: 'run the same command as root (sudo)',
    });
  }
  if (!existsSync('/run/systemd/system')) {
    throw new UserError(
      'PRECONDITION_FAILED',
      'this machine is not run by systemd, which runs the services of a node',
      {
        hint: 'without it there is a cluster on one machine: orama dev start',
      },
    );
  }
  const unit = unitFolders.map((folder) => `${folder}/orama-controlplane.service`).find(existsSync);
  if (unit === undefined) {
    throw new UserError('PRECONDITION_FAILED', 'the units of Orama are not installed on this machine', {
      hint: 'install it first: sh install.sh install, beside the release',
    });
  }
  ownerIds();
}
const unitFolders = ['/etc/systemd/system', '/usr/local/lib/systemd/system', '/usr/lib/systemd/system'];

/** Ids of the user that the services run as. */
export function ownerIds(): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${USER}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  throw new UserError('PRECONDITION_FAILED', `this machine has no user ${USER}, which the services run as`, {
    hint: `adduser --system --group --no-create-home --home ${PATHS.data} ${USER}`,
  });
}

/** The node's name: as given, or that of the machine. */
export function nodeName(given: string | undefined): string {
  if (given !== undefined) return given;
  const name = nodeIdSchema.safeParse(hostname().split('.')[0]?.toLowerCase());
  if (name.success) return name.data;
  throw new UserError('INVALID_REQUEST', `the name of this machine, "${hostname()}", cannot be that of a node`, {
    hint: 'give one: --name node-1',
  });
}

/** Addresses of this machine's interfaces, without those of loopback and of single links. */
export function localAddresses(): LocalAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, entries = []]) =>
    entries.flatMap(({ address, cidr }) => {
      const range = specialRangeOf(address);
      return cidr === null || range === 'loopback' || range === 'link-local'
        ? []
        : [{ interface: name, address, cidr }];
    }),
  );
}

export async function interfaceExists(name: string): Promise<boolean> {
  const links = JSON.parse(await runTool('ip', ['-json', 'link'])) as { ifname: string }[];
  return links.some(({ ifname }) => ifname === name);
}

export async function isWireguard(name: string): Promise<boolean> {
  return (await wireguardInterfaces()).includes(name);
}
