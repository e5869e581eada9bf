import { OramaError } from '@orama/core';
import type { WireguardConfig, WireguardPeer } from '@orama/protocol';
import type { NodeContext } from '../node-context.ts';
import type { View } from '../reconcile/store-view.ts';
import type { Action, Task } from '../reconcile/task.ts';
import { type ConfFile, confFileOf, readConfFile, writeConfFile } from '../wireguard/conf-file.ts';
import { readInterface, removePeer, setPeer } from '../wireguard/interface.ts';
import { planPeers, wantedPeers } from '../wireguard/plan-peers.ts';

/** How often the interface is looked at while the store says nothing new: somebody may have taken a peer away. */
const LOOK_MS = 10_000;

interface PeerAction extends Action {
  kind: 'wireguard-peers';
  do: 'set' | 'remove';
  peer: WireguardPeer;
}

/**
 * Has the nodes of the cluster as peers of this node's WireGuard interface, and in its file: after a power loss the store
 * is reached by what the file says. Without the store nothing changes.
 */
export class WireguardTask implements Task<PeerAction> {
  readonly name = 'wireguard';
  readonly #context: NodeContext;
  readonly #config: WireguardConfig;
  /** What the store said when nothing was to be done. */
  #settled: { view: View; atMs: number } | null = null;

  constructor(context: NodeContext, config: WireguardConfig) {
    this.#context = context;
    this.#config = config;
  }

  async plan(): Promise<PeerAction[]> {
    const { config, clock } = this.#context;
    const view = await this.#context.view.read();
    const nowMs = clock.monotonic();
    if (view === this.#settled?.view && nowMs - this.#settled.atMs < LOOK_MS) return [];
    const wanted = wantedPeers(await view.nodes(), config.node);
    const [{ peers: known }, { peers: live }] = [await this.#readConf(), await readInterface(this.#config.interface)];
    const { set, remove } = planPeers(wanted, known, live);
    this.#settled = set.length + remove.length === 0 ? { view, atMs: nowMs } : null;
    const action = (what: 'set' | 'remove') => (change: { peer: WireguardPeer; reason: string }) =>
      ({ kind: 'wireguard-peers', do: what, subject: change.peer.node, ...change }) as const;
    // One that takes the address of another comes after that one has gone.
    return [...remove.map(action('remove')), ...set.map(action('set'))];
  }

  /** The interface first: the file says what was done, so that what a crash cuts off is planned again. */
  async apply(action: PeerAction): Promise<void> {
    const { peer } = action;
    if (action.do === 'set') await setPeer(this.#config.interface, peer);
    else await removePeer(this.#config.interface, peer.publicKey);
    const conf = await this.#readConf();
    const others = conf.peers.filter(({ publicKey, node }) => publicKey !== peer.publicKey && node !== peer.node);
    const peers =
      action.do === 'set' ? [...others, peer] : conf.peers.filter((one) => one.publicKey !== peer.publicKey);
    await writeConfFile(this.#config.interface, { ...conf, peers: peers.sort((a, b) => (a.node < b.node ? -1 : 1)) });
  }

  async report(): Promise<null> {
    return null;
  }

  async #readConf(): Promise<ConfFile> {
    const conf = await readConfFile(this.#config.interface);
    if (conf) return conf;
    throw new OramaError(
      'NOT_FOUND',
      `${confFileOf(this.#config.interface)} is gone, and with it the node's private key`,
      {
        hint: 'put it back from a backup, or take the node out (orama node leave) and let it join again',
      },
    );
  }
}
