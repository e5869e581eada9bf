import type { Clock, Logger } from '@orama/core';
import type { Allocation, EndReason } from '../allocation/allocation.ts';
import type { BugLog } from '../bug-log.ts';
import type { ClientTransport, PacketHandler } from '../listener/client-transport.ts';
import type { SourceLimits } from '../listener/source-limits.ts';
import type { DropCounters, Relay } from '../relay/relay.ts';
import { CLASS, METHOD, STUN_HEADER_BYTES, StunMessage } from '../stun/index.ts';
import type { ExternalAddresses } from '../tenant/peer-policy.ts';
import type { TenantRegistry } from '../tenant/registry.ts';
import { AllocationLog } from './allocation-log.ts';
import { Authenticator } from './authenticator.ts';
import { Challenges } from './challenge.ts';
import type { RequestHandler, ServerContext, TurnRequest } from './context.ts';
import { ServerCounters } from './counters.ts';
import { handleBinding } from './handlers/binding.ts';
import { handleSend, SEND_INDICATION_TYPE } from './handlers/send.ts';
import { METHODS, type Method } from './methods.ts';
import { Nonces } from './nonces.ts';
import { fitRealm } from './realm.ts';
import { RefusalLog } from './refusal-log.ts';
import { failure } from './replies.ts';
import { ResponseCache, requestKey } from './response-cache.ts';
import { TenantLog } from './tenant-log.ts';

/** An answer to an unauthenticated datagram may be so many times its size. */
const AMPLIFICATION_MAX = 3;

export interface TurnServerOptions {
  realm: string;
  clock: Clock;
  logger: Logger;
  bugs: BugLog;
  tenants: TenantRegistry;
  relay: Relay;
  /** Public address by local address, behind 1:1 NAT. */
  external: ExternalAddresses;
  drops: DropCounters;
  sourceLimits: SourceLimits;
  /** Allocations that one source may have in each namespace. */
  maxAllocationsPerSource: number;
  /** Workers of the node, this one included. */
  workers: number;
  defaultLifetimeSec: number;
  maxLifetimeSec: number;
  nonceLifetimeSec: number;
  /** 32 bytes that nonces are made with; the workers of a node share them. */
  nonceKey: Buffer;
}

/** Turns STUN packets into answers and allocations. Knows no sockets: listeners in front, a relay behind. */
export class TurnServer implements PacketHandler {
  readonly counters = new ServerCounters();
  readonly refusals: RefusalLog;
  /** What it says of its tenants. */
  readonly log: TenantLog;
  readonly #options: TurnServerOptions;
  readonly #challenges: Challenges;
  readonly #authenticator: Authenticator;
  readonly #responses: ResponseCache;
  readonly #context: ServerContext;
  #draining = false;

  constructor(options: TurnServerOptions) {
    const { clock, logger, relay, tenants } = options;
    this.#options = options;
    this.#responses = new ResponseCache(options.maxAllocationsPerSource, options.workers);
    const realm = fitRealm(options.realm);
    const nonces = new Nonces(options.nonceLifetimeSec, options.nonceKey);
    this.#challenges = new Challenges(realm, nonces);
    this.#authenticator = new Authenticator({ realm, tenants, nonces, clock });
    this.log = new TenantLog(logger, clock);
    this.refusals = new RefusalLog(this.log, clock);
    const isDraining = () => this.#draining;
    this.#context = {
      clock,
      relay,
      refusals: this.refusals,
      allocations: new AllocationLog(this.log, clock),
      external: options.external,
      defaultLifetimeSec: options.defaultLifetimeSec,
      maxLifetimeSec: options.maxLifetimeSec,
      get draining() {
        return isDraining();
      },
      allocationOpened: (allocation) => this.#allocationOpened(allocation),
      allocationClosed: (allocation, reason) => this.#allocationClosed(allocation, reason),
    };
  }

  /** Refuses new allocations from now on. */
  drain(): void {
    this.#draining = true;
  }

  /** Answers that are kept for retransmissions. */
  get keptAnswers(): number {
    return this.#responses.size;
  }

  /** Lets no retransmission get what was answered to users of a namespace by any other secret than these. */
  forgetAnswers(namespace: string, secrets: readonly string[]): void {
    this.#responses.forget(namespace, secrets);
  }

  /** Lets lifetimes end and forgets what is too old; called about once a second. */
  sweep(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const tenant of this.#options.tenants.all()) tenant.sweep();
    this.#responses.sweep(nowMs);
  }

  clientGone(client: ClientTransport, reason: EndReason): void {
    void client.allocation?.close(reason);
  }

  receive(client: ClientTransport, packet: Buffer): void {
    try {
      this.#receive(client, packet);
    } catch (thrown) {
      this.#options.bugs.report(thrown);
    }
  }

  #receive(client: ClientTransport, packet: Buffer): void {
    const { drops } = this.#options;
    if (packet.length < STUN_HEADER_BYTES) {
      drops.malformed++;
      return;
    }
    if (packet.readUInt16BE(0) === SEND_INDICATION_TYPE) {
      const allocation = client.allocation;
      if (allocation === undefined) drops.unknownClient++;
      else handleSend(packet, allocation.port, drops);
      return;
    }
    // Answers may come later, and the bytes are ours only now.
    const message = StunMessage.parse(Buffer.from(packet));
    if (message === undefined) {
      drops.malformed++;
      return;
    }
    if (message.cls !== CLASS.request) return;
    // A link-local address with its zone means nothing to whom it would be told.
    if (client.remoteAddress.includes('%')) {
      drops.unknownClient++;
      return;
    }
    if (message.method === METHOD.binding) {
      // The keep-alives of a client with an allocation do not count.
      if (client.allocation !== undefined || this.#maySpend(client)) {
        this.#answerStranger(client, packet, handleBinding(message, client), 'Binding');
      }
      return;
    }
    const known = METHODS.get(message.method);
    if (known !== undefined) this.#request(client, packet, message, known);
  }

  #request(client: ClientTransport, packet: Buffer, message: StunMessage, { name, handle, understood }: Method): void {
    const { clock, drops, sourceLimits } = this.#options;
    // 1. A retransmission gets the answer its first copy got; while that is being made, it waits for it.
    const key = client.protocol === 'udp' ? requestKey(client.id, message) : undefined;
    const known = key === undefined ? undefined : this.#responses.find(key, clock.monotonic());
    if (known !== undefined) {
      if (known !== 'pending') client.send(known);
      return;
    }

    // 2. Authentication (RFC 8489 section 9.2.4). Keys are not worked out for who fails over and over; who shares an
    // address with such clients is heard.
    if (sourceLimits.isHeld(client.protocol, client.remoteAddress, client.id, clock.now())) {
      drops.rateLimited++;
      return;
    }
    const result = this.#authenticator.authenticate(message, client);
    if (!result.ok) {
      this.counters.authFailures.add(result.reason);
      if (result.proof === 'address') sourceLimits.countFailure(client.id, clock.now());
      // A call whose nonce has become old goes on, whatever others at its address do.
      if (result.proof === 'identity' || this.#maySpend(client))
        this.#challenge(client, packet, message, result.code, name);
      return;
    }
    const { identity } = result;
    // An expired credential makes no allocation, and keeps those it has made.
    if (message.method === METHOD.allocate && identity.expirySec * 1000 <= clock.now()) {
      this.counters.authFailures.add('expired');
      if (this.#maySpend(client)) this.#challenge(client, packet, message, 401, name);
      return;
    }

    // 3. The user of an allocation cannot change (RFC 8656 section 5), unknown attributes are told, the rest is done.
    const answer = this.#dispatch({ message, client, identity }, handle, understood);
    const keep = (reply: Buffer | undefined) => {
      if (key !== undefined) this.#responses.keep(key, client, identity, reply, clock.monotonic());
    };
    const deliver = (reply: Buffer) => {
      this.#countReply(name, reply);
      keep(reply);
      if (client.open) client.send(reply);
    };
    if (answer instanceof Promise) {
      keep(undefined);
      answer.then(deliver).catch((thrown: unknown) => {
        this.#options.bugs.report(thrown);
        deliver(failure(message, 500, identity.key));
      });
    } else {
      deliver(answer);
    }
  }

  #dispatch(request: TurnRequest, handle: RequestHandler, understood: ReadonlySet<number>): Buffer | Promise<Buffer> {
    const { message, client, identity } = request;
    const unknown = message.unknownAttributes(understood);
    if (unknown.length > 0) {
      return failure(message, 420, identity.key, (writer) => writer.unknownAttributes(unknown));
    }
    const allocation = client.allocation;
    if (allocation !== undefined && allocation.username !== identity.username && message.method !== METHOD.allocate) {
      return failure(message, 441, identity.key);
    }
    return handle(request, this.#context);
  }

  /** Tells an unauthenticated sender what it needs to try again. */
  #challenge(client: ClientTransport, packet: Buffer, message: StunMessage, code: 400 | 401 | 438, name: string): void {
    const room = client.protocol === 'udp' ? packet.length * AMPLIFICATION_MAX : Number.POSITIVE_INFINITY;
    const reply = this.#challenges.build(message, code, room, client.id, this.#options.clock.now());
    this.#answerStranger(client, packet, reply, name);
  }

  /** Sends an answer to somebody unknown, unless a forged source address would make it an amplifier. */
  #answerStranger(client: ClientTransport, packet: Buffer, reply: Buffer, name: string): void {
    if (client.protocol === 'udp' && reply.length > packet.length * AMPLIFICATION_MAX) {
      this.#options.drops.amplification++;
      return;
    }
    this.#countReply(name, reply);
    client.send(reply);
  }

  /** Takes one unauthenticated request of the source's rate. */
  #maySpend(client: ClientTransport): boolean {
    const { sourceLimits, clock } = this.#options;
    if (sourceLimits.takeRequest(client.protocol, client.remoteAddress, clock.now())) return true;
    this.#options.drops.rateLimited++;
    return false;
  }

  #countReply(name: string, reply: Buffer): void {
    const isError = ((reply[0] as number) & 0x01) === 1 && ((reply[1] as number) & 0x10) !== 0;
    const code = isError ? (reply[26] as number) * 100 + (reply[27] as number) : 200;
    this.counters.replies.add(`${name} ${code}`);
  }

  #allocationOpened(allocation: Allocation): void {
    this.counters.allocationsOpened++;
    this.#context.allocations.opened(allocation);
  }

  #allocationClosed(allocation: Allocation, reason: EndReason): void {
    this.counters.ended.add(reason);
    this.#context.allocations.ended(allocation, reason);
  }
}
