import type { ClientFrame, ServerFrame, ServerFrameOf } from '@orama/protocol';
import type { Timer } from '../clock.ts';
import { ClientError, describeError } from '../errors.ts';
import { SignallingLink } from '../signalling/link.ts';
import type { Verdict } from '../signalling/verdict.ts';
import { type ConnectOptions, credentialOf, type Platform, signallingUrl } from './options.ts';
import { canResume, type ReconnectPolicy, reconnectDelayMs, STABLE_AFTER_MS } from './reconnect-policy.ts';

const JOIN_TIMEOUT_MS = 10_000;
/** After `rate_limited` the next attempt waits at least so long. */
const RATE_LIMIT_DELAY_MS = 2_000;
/** Frames kept while a resume is under way. */
const OUTBOX_MAX = 256;

export interface ConnectionHandlers {
  /** Joined; `welcome.resumed` tells whether as the same peer. */
  onWelcome(welcome: ServerFrameOf<'welcome'>): void;
  onFrame(frame: ServerFrame): void;
  /** Lost; attempt number `attempt` follows by itself. */
  onLost(error: ClientError, attempt: number): void;
  /** Over for good. */
  onEnd(error: ClientError): void;
}

type State =
  | { kind: 'joining'; link: SignallingLink | undefined; timer: Timer }
  | { kind: 'joined'; link: SignallingLink }
  | { kind: 'waiting'; timer: Timer }
  | { kind: 'ended' };

/** The way to the server: joins, notices losses, and comes back by resume or by joining anew. */
export class Connection {
  readonly #options: ConnectOptions;
  readonly #platform: Platform;
  readonly #policy: ReconnectPolicy;
  readonly #handlers: ConnectionHandlers;
  #state: State;
  /** Resume token of the peer we are, or undefined when we must join anew. */
  #token: string | undefined;
  #lostAt = 0;
  #healthySince: number | undefined;
  #everJoined = false;
  #failures = 0;
  #outbox: ClientFrame[] = [];

  constructor(options: ConnectOptions, platform: Platform, policy: ReconnectPolicy, handlers: ConnectionHandlers) {
    this.#options = options;
    this.#platform = platform;
    this.#policy = policy;
    this.#handlers = handlers;
    this.#state = { kind: 'waiting', timer: platform.clock.after(0, () => this.#join()) };
  }

  /** Sends a frame, or keeps it while a resume is under way. */
  send(frame: ClientFrame): void {
    if (this.#state.kind === 'joined') this.#state.link.send(frame);
    else if (this.#token !== undefined && this.#outbox.length < OUTBOX_MAX) this.#outbox.push(frame);
  }

  /** Media flows, or none is expected: earlier failures are forgiven once this has lasted a while. */
  markHealthy(): void {
    this.#healthySince ??= this.#platform.clock.monotonic();
  }

  /** Gives this peer up and joins anew. */
  rejoin(error: ClientError): void {
    if (this.#state.kind === 'ended') return;
    if (this.#state.kind === 'joined') this.#state.link.send({ type: 'leave' });
    if (this.#state.kind === 'joined' || this.#token !== undefined) this.#lose({ error, recovery: 'rejoin' });
  }

  /** Does now what was waiting for its time, for example because the network is back. */
  reconnectNow(): void {
    if (this.#state.kind !== 'waiting') return;
    this.#state.timer.cancel();
    this.#join();
  }

  /** Leaves and ends; no handler is called afterwards. */
  close(): void {
    if (this.#state.kind === 'joined') this.#state.link.send({ type: 'leave' });
    this.#stop();
  }

  #join(): void {
    const timer = this.#platform.clock.after(JOIN_TIMEOUT_MS, () => {
      const words = state.link?.verdictSoFar;
      const error = new ClientError('timeout', `no answer to the join within ${JOIN_TIMEOUT_MS / 1000} s`);
      this.#lose(words ?? { error, recovery: 'resume' });
    });
    const state: State & { kind: 'joining' } = { kind: 'joining', link: undefined, timer };
    this.#state = state;
    credentialOf(this.#options)
      .then((credential) => {
        if (this.#state === state)
          state.link = this.#open(signallingUrl(this.#options.url, this.#options.room, credential));
      })
      .catch((thrown: unknown) => {
        if (this.#state !== state) return;
        const final = thrown instanceof ClientError;
        const error = final
          ? thrown
          : new ClientError('unreachable', `getting a credential failed: ${describeError(thrown)}`, { cause: thrown });
        this.#lose({ error, recovery: final ? 'none' : 'resume' });
      });
  }

  #open(url: string): SignallingLink {
    if (!canResume(this.#platform.clock.monotonic() - this.#lostAt)) this.#forgetPeer();
    const isCurrent = () => 'link' in this.#state && this.#state.link === link;
    const link = new SignallingLink(url, this.#platform.WebSocket, this.#platform.clock, {
      onOpen: () => {
        const { name, metadata, room, channels } = this.#options;
        link.send({
          type: 'join',
          room,
          ...(name === undefined ? {} : { name }),
          ...(metadata === undefined ? {} : { metadata }),
          ...(channels === undefined ? {} : { channels }),
          ...(this.#token === undefined ? {} : { resume: this.#token }),
        });
      },
      onFrame: (frame) => {
        if (!isCurrent()) return;
        if (this.#state.kind === 'joined') this.#handlers.onFrame(frame);
        else if (frame.type === 'welcome') this.#welcome(frame, link);
      },
      onClose: (verdict) => {
        if (isCurrent()) this.#lose(verdict);
      },
    });
    return link;
  }

  #welcome(welcome: ServerFrameOf<'welcome'>, link: SignallingLink): void {
    if (this.#state.kind === 'joining') this.#state.timer.cancel();
    this.#state = { kind: 'joined', link };
    this.#everJoined = true;
    this.#healthySince = undefined;
    if (!welcome.resumed) this.#forgetPeer();
    this.#token = welcome.resumeToken;
    this.#handlers.onWelcome(welcome);
    for (const frame of this.#outbox.splice(0)) this.send(frame);
  }

  #lose(verdict: Verdict): void {
    const clock = this.#platform.clock;
    const now = clock.monotonic();
    const wasJoined = this.#state.kind === 'joined';
    this.#release();
    if (wasJoined) this.#lostAt = now;
    if (verdict.recovery !== 'resume') this.#forgetPeer();
    if (this.#healthySince !== undefined && now - this.#healthySince >= STABLE_AFTER_MS) this.#failures = 0;
    this.#healthySince = undefined;
    this.#failures += 1;
    const limit = this.#everJoined ? this.#policy.maxAttempts : this.#policy.maxInitialAttempts - 1;
    if (verdict.recovery === 'none' || this.#failures > limit) {
      this.#finish(verdict.recovery !== 'none' && this.#everJoined ? gaveUp(verdict.error, limit) : verdict.error);
      return;
    }
    const delayMs = Math.max(
      reconnectDelayMs(this.#policy, this.#failures, this.#platform.random()),
      verdict.error.code === 'rate_limited' ? RATE_LIMIT_DELAY_MS : 0,
    );
    this.#state = { kind: 'waiting', timer: clock.after(delayMs, () => this.#join()) };
    this.#handlers.onLost(verdict.error, this.#failures);
  }

  #finish(error: ClientError): void {
    this.#stop();
    this.#handlers.onEnd(error);
  }

  #stop(): void {
    this.#release();
    this.#forgetPeer();
    this.#state = { kind: 'ended' };
  }

  #release(): void {
    if ('timer' in this.#state) this.#state.timer.cancel();
    if ('link' in this.#state) this.#state.link?.close();
  }

  #forgetPeer(): void {
    this.#token = undefined;
    this.#outbox = [];
  }
}

function gaveUp(last: ClientError, attempts: number): ClientError {
  return new ClientError('reconnect_failed', `gave up after ${attempts} attempts: ${last.message}`, { cause: last });
}
