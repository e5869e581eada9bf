import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '@orama/core';
import type { Endpoint } from './stun-front.ts';
import {
  BINDING,
  type BindingMessage,
  buildCheck,
  buildRefusal,
  buildSuccess,
  hasIntegrity,
  type IceCredential,
  isStun,
  readBinding,
} from './stun-message.ts';

/**
 * What libjuice makes of us as its peer's address. Before a restart a controlling peer may nominate libjuice's own way
 * as well, and that is better; otherwise we must come before whatever libjuice has nominated.
 */
const PRIORITY = { last: 1, first: 0x7effffff } as const;
const SETTLE_EVERY_MS = 50;
const SETTLE_TRIES = 100;
const MAX_REMOTES = 16;
const MAX_PENDING = 32;
const CONTROLLING_ALWAYS = Buffer.alloc(8, 0xff);

/** Both sides' credentials between two ICE restarts. */
interface Generation {
  number: number;
  local: IceCredential;
  remote: IceCredential;
}

/** An address of the peer that sent a valid check. */
interface Remote extends Endpoint {
  generation: Generation;
  priority: number;
  /** The peer, being controlled, knows that this is the way. */
  nominated: boolean;
}

export interface PathOptions {
  /** libjuice's socket. */
  native: Endpoint;
  /** Its credential, and the one it knows of the peer: for good. */
  local: IceCredential;
  remote: IceCredential;
  /** The peer's address that libjuice uses, null before there is one. */
  selected: () => Endpoint | null;
  /** The peer is reached at another address now. */
  onRemote: () => void;
}

/** What a path needs of the StunFront. */
export interface PathHost {
  /** Its own address, which libjuice takes for the peer's. */
  endpoint: Endpoint;
  send(datagram: Buffer, to: Endpoint): void;
  learnUfrag(ufrag: string): void;
  forgetUfrag(ufrag: string): void;
  learnRemote(remote: Endpoint): void;
  forgetRemote(remote: Endpoint): void;
  closed(): void;
}

/**
 * One peer's way through the StunFront.
 *
 * Towards the peer it is an ICE agent with credentials of its own: it answers checks, and where the peer is controlled it
 * nominates. Towards libjuice it is one single remote address, always controlling, nominated once; which addresses the
 * peer comes from, under which credentials, libjuice never learns. libjuice's own checks, and with them its consent
 * (RFC 7675), are carried on to the peer and back, so that a peer that is gone is missed as ever.
 */
export class FrontPath {
  readonly #options: PathOptions;
  readonly #clock: Clock;
  readonly #host: PathHost;
  readonly #tieBreaker = randomBytes(8);
  /** The newest last; the one before it is in use until the newest works. */
  #generations: Generation[];
  #remotes: Remote[] = [];
  #current: Remote | null = null;
  #peerRole: 'controlling' | 'controlled' = 'controlling';
  /** Our checks that the peer has not answered: by transaction, and whether libjuice waits for the answer. */
  readonly #pending = new Map<string, { generation: Generation; forNative: boolean; to: Remote }>();
  /** libjuice has answered our check, then had its own answered: it has nominated us. */
  #settled: 'no' | 'asked' | 'yes' = 'no';
  #settleTimer: Timer | null = null;
  #closed = false;

  constructor(options: PathOptions, clock: Clock, host: PathHost) {
    this.#options = options;
    this.#clock = clock;
    this.#host = host;
    this.#generations = [{ number: 0, local: options.local, remote: options.remote }];
  }

  /** Where the peer is reached, null while nothing goes this way. */
  get remote(): Endpoint | null {
    return this.#current;
  }

  /** Other credentials from now on (RFC 8445 section 9); the former stay good until the peer comes with these. */
  restart(local: IceCredential, remote: IceCredential): void {
    const newest = this.#generations.at(-1) as Generation;
    const inUse = this.#current?.generation ?? newest;
    for (const generation of this.#generations) {
      if (generation !== inUse) this.#host.forgetUfrag(generation.local.ufrag);
    }
    this.#generations = [inUse, { number: newest.number + 1, local, remote }];
    this.#host.learnUfrag(local.ufrag);
    for (const each of this.#remotes) if (each !== this.#current) this.#host.forgetRemote(each);
    this.#remotes = this.#current ? [this.#current] : [];
  }

  /** A datagram of the peer that is no STUN. */
  receiveMedia(datagram: Buffer): void {
    this.#host.send(datagram, this.#options.native);
  }

  /** A datagram of libjuice. */
  receiveFromNative(datagram: Buffer): void {
    if (!isStun(datagram)) {
      if (this.#current) this.#host.send(datagram, this.#current);
      return;
    }
    const message = readBinding(datagram);
    if (message?.type === BINDING.success) this.#settled = this.#settled === 'yes' ? 'yes' : 'asked';
    else if (message?.type === BINDING.request && this.#current)
      this.#check(this.#current, message.transactionId, true, message.priority);
  }

  /** A Binding message of the peer, or of somebody who names it. */
  receiveBinding(datagram: Buffer, message: BindingMessage, from: Endpoint): void {
    if (message.type === BINDING.request) this.#receiveCheck(datagram, message, from);
    else if (message.type === BINDING.success) this.#receiveAnswer(datagram, message);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#settleTimer?.cancel();
    for (const { local } of this.#generations) this.#host.forgetUfrag(local.ufrag);
    for (const remote of this.#remotes) this.#host.forgetRemote(remote);
    this.#host.closed();
  }

  #receiveCheck(datagram: Buffer, message: BindingMessage, from: Endpoint): void {
    const generation = this.#generations.find(
      ({ local, remote }) => message.username === `${local.ufrag}:${remote.ufrag}`,
    );
    if (!generation || message.role === null || !hasIntegrity(datagram, message, generation.local.password)) return;
    const { transactionId } = message;
    const remote = this.#admit(generation, message, from);
    if (!remote) {
      this.#host.send(buildRefusal(transactionId, generation.local.password), from);
      return;
    }
    this.#host.send(buildSuccess(transactionId, from, generation.local.password), from);
    this.#peerRole = message.role;
    if (remote !== this.#current && this.#isBetter(remote, message.useCandidate)) this.#use(remote);
    this.#settle();
    if (remote === this.#current && this.#peerRole === 'controlled' && !remote.nominated)
      this.#check(remote, randomBytes(12), false, PRIORITY.first);
  }

  /** The sender as one of the peer's addresses; null when it should talk to libjuice, or there are too many. */
  #admit(generation: Generation, { priority, zeroTieBreaker }: BindingMessage, from: Endpoint): Remote | null {
    const known = this.#find(from);
    if (!known) {
      const isHere = generation.number > 0 || (zeroTieBreaker && !this.#isServedElsewhere(from));
      if (!isHere || this.#remotes.length >= MAX_REMOTES) return null;
    }
    const remote = known ?? { address: from.address, port: from.port, generation, priority, nominated: false };
    if (!known) this.#remotes.push(remote);
    // Again, because another peer may have had the address meanwhile.
    this.#host.learnRemote(remote);
    if (remote.generation.number < generation.number) Object.assign(remote, { generation, nominated: false });
    return remote;
  }

  /** Whether libjuice has a way to the peer itself: one that is not the address now asking, whose checks it refuses. */
  #isServedElsewhere(from: Endpoint): boolean {
    const selected = this.#options.selected();
    return selected !== null && ![this.#host.endpoint, from, ...this.#remotes].some((each) => isSame(each, selected));
  }

  #find(endpoint: Endpoint): Remote | undefined {
    return this.#remotes.find((remote) => isSame(remote, endpoint));
  }

  /** A controlling peer says which address it wants; of a controlled one we take the best. */
  #isBetter(remote: Remote, useCandidate: boolean): boolean {
    const current = this.#current;
    if (!current || remote.generation.number > current.generation.number) return true;
    if (remote.generation !== current.generation) return false;
    return this.#peerRole === 'controlling' ? useCandidate : remote.priority > current.priority;
  }

  #use(remote: Remote): void {
    this.#current = remote;
    this.#options.onRemote();
  }

  /**
   * Checks libjuice with USE-CANDIDATE until it has nominated us. It lets the check pass unanswered that takes control
   * from it, and a check of the peer on its own way may give control back to it in between, which stops its check of us.
   */
  #settle(): void {
    if (this.#settled === 'yes' || this.#settleTimer) return;
    let tries = 0;
    const ask = () => {
      this.#settleTimer = null;
      if (this.#settled === 'yes' || this.#closed || ++tries > SETTLE_TRIES) return;
      const { native, local, remote } = this.#options;
      const mayHaveBetter = this.#current?.generation.number === 0 && this.#peerRole === 'controlling';
      const check = buildCheck({
        transactionId: randomBytes(12),
        username: `${local.ufrag}:${remote.ufrag}`,
        password: local.password,
        priority: mayHaveBetter ? PRIORITY.last : PRIORITY.first,
        role: 'controlling',
        tieBreaker: CONTROLLING_ALWAYS,
        useCandidate: true,
      });
      this.#host.send(check, native);
      this.#settleTimer = this.#clock.after(SETTLE_EVERY_MS, ask);
    };
    ask();
  }

  #check(to: Remote, transactionId: Buffer, forNative: boolean, priority: number): void {
    const { generation } = to;
    const oldest = this.#pending.size >= MAX_PENDING ? this.#pending.keys().next().value : undefined;
    if (oldest !== undefined) this.#pending.delete(oldest);
    this.#pending.set(transactionId.toString('hex'), { generation, forNative, to });
    const role = this.#peerRole === 'controlling' ? 'controlled' : 'controlling';
    const check = buildCheck({
      transactionId,
      username: `${generation.remote.ufrag}:${generation.local.ufrag}`,
      password: generation.remote.password,
      priority,
      role,
      tieBreaker: this.#tieBreaker,
      useCandidate: role === 'controlling',
    });
    this.#host.send(check, to);
  }

  #receiveAnswer(datagram: Buffer, message: BindingMessage): void {
    const key = message.transactionId.toString('hex');
    const pending = this.#pending.get(key);
    if (!pending || !hasIntegrity(datagram, message, pending.generation.remote.password)) return;
    this.#pending.delete(key);
    if (this.#peerRole === 'controlled') pending.to.nominated = true;
    if (!pending.forNative) return;
    if (this.#settled === 'asked') this.#settled = 'yes';
    const { native, remote } = this.#options;
    this.#host.send(buildSuccess(message.transactionId, native, remote.password), native);
  }
}

function isSame(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && one.address === other.address;
}
