import { randomBytes } from 'node:crypto';
import type { FrontPath } from './front-path.ts';
import { type LocalIce, readCandidates, readIce } from './sdp.ts';
import type { Endpoint, StunFront } from './stun-front.ts';
import type { IceCredential } from './stun-message.ts';

/**
 * The highest of a host candidate (RFC 8445 section 5.1.2): while the way before a restart still works, Chromium does not
 * even try one of lower priority.
 */
const RESTARTED_PRIORITY = 2_130_706_431;

/**
 * Credentials and addresses of one peer's connection over all its ICE restarts. libjuice has one credential of its own
 * and one of the peer for life; whatever follows is between the peer and the StunFront.
 */
export class IceSession {
  readonly #front: StunFront;
  readonly #selected: () => Endpoint | null;
  readonly #onRemote: () => void;
  /** The peer's credential that libjuice knows. */
  #pinned: IceCredential | null = null;
  /** The peer's newest. */
  #remote: IceCredential | null = null;
  /** Ours since the last restart, null before the first. */
  #local: IceCredential | null = null;
  /** Ours in an offer that is out and restarts ICE. */
  #offered: IceCredential | null = null;
  #path: FrontPath | null = null;

  /**
   * @param selected the peer's address that libjuice uses
   * @param onRemote the peer is reached at another address
   */
  constructor(front: StunFront, selected: () => Endpoint | null, onRemote: () => void) {
    this.#front = front;
    this.#selected = selected;
    this.#onRemote = onRemote;
  }

  /** The credential to give libdatachannel in place of the peer's newest; null before the first. */
  get pinned(): IceCredential | null {
    return this.#pinned;
  }

  /** What our descriptions say of ICE. */
  get local(): LocalIce {
    const credential = this.#offered ?? this.#local;
    const { candidate } = this.#front;
    return { credential, candidate: credential ? { ...candidate, priority: RESTARTED_PRIORITY } : candidate };
  }

  /** Whether both sides have agreed on credentials. */
  get isAgreed(): boolean {
    return this.#path !== null;
  }

  /** Where the media of the peer comes from. */
  get remote(): Endpoint | null {
    const selected = this.#selected();
    const { address, port } = this.#front.endpoint;
    return selected?.address === address && selected.port === port ? (this.#path?.remote ?? null) : selected;
  }

  /** Whether a description with this credential of the peer restarts ICE (RFC 8839 section 4.4.1.1.1). */
  isRestart(remote: IceCredential | null): boolean {
    return this.#remote !== null && remote !== null && remote.ufrag !== this.#remote.ufrag;
  }

  /** Credentials were exchanged for the first time. @param nativeSdp libdatachannel's local description */
  begin(nativeSdp: string, remote: IceCredential | null): void {
    const local = readIce(nativeSdp);
    const native = readCandidates(nativeSdp)[0];
    if (!local || !remote || !native) return;
    this.#pinned = this.#remote = remote;
    const selected = this.#selected;
    const onRemote = this.#onRemote;
    this.#path = this.#front.add({
      native: { address: native.ip, port: native.port },
      local,
      remote,
      selected,
      onRemote,
    });
  }

  /** New credentials of ours for an offer. */
  offerRestart(): void {
    this.#offered = newCredential();
  }

  /** The offer was taken back, or answered without a restart. */
  withdrawOffer(): void {
    this.#offered = null;
  }

  /** The peer restarts, of itself or because we offered to. */
  restart(remote: IceCredential): void {
    this.#local = this.#offered ?? newCredential();
    this.#offered = null;
    this.#remote = remote;
    this.#path?.restart(this.#local, remote);
  }

  close(): void {
    this.#path?.close();
  }
}

function newCredential(): IceCredential {
  return { ufrag: randomBytes(4).toString('hex'), password: randomBytes(16).toString('hex') };
}
