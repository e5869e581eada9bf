import type { ClientFrame, ClientFrameOf, ServerFrameOf } from '@orama/protocol';
import type { Clock, Timer } from '../clock.ts';
import { ClientError, describeError } from '../errors.ts';
import { withOpusNack } from './opus-nack.ts';

const ANSWER_TIMEOUT_MS = 10_000;

export interface NegotiatorHandlers {
  send(frame: ClientFrame): void;
  /** What our sent m-lines are; read right after the local description is set. */
  describeTracks(): NonNullable<ClientFrameOf<'offer'>['tracks']>;
  /** The server's answer as it is to be applied. */
  amendAnswer(sdp: string): string;
  /** The connection is stable again: our offer was answered, or we answered one. */
  onStable(side: 'offerer' | 'answerer'): void;
  /** The server refused our offer; it has been rolled back. */
  onRefused(error: ClientError): void;
  /** The connection cannot be saved. */
  onFailure(error: ClientError): void;
}

/**
 * Offer and answer with the SFU over one RTCPeerConnection (RFC 9429, "perfect negotiation").
 *
 * We are the impolite side: an SFU offer that meets ours under way is ignored, and the SFU offers again after
 * answering ours. Everything runs one after the other, so a description is never set while another one is.
 */
export class Negotiator {
  readonly #pc: RTCPeerConnection;
  readonly #handlers: NegotiatorHandlers;
  readonly #clock: Clock;
  #queue: Promise<void> = Promise.resolve();
  /** An offer is due as soon as the connection is stable. */
  #wanted = false;
  #answerTimer: Timer | undefined;
  /** Candidates that came before the description they belong to. */
  #early: RTCIceCandidateInit[] = [];
  #closed = false;

  constructor(pc: RTCPeerConnection, clock: Clock, handlers: NegotiatorHandlers) {
    this.#pc = pc;
    this.#clock = clock;
    this.#handlers = handlers;
  }

  /** Asks for an offer; several requests become one. */
  request(): void {
    this.#wanted = true;
    this.#run('making an offer', () => this.#offer());
  }

  /** The socket was resumed: an offer whose answer may be lost is sent again. */
  resume(): void {
    this.#run('offering again', async () => {
      if (this.#pc.signalingState === 'have-local-offer') this.#sendOffer();
      else await this.#offer();
    });
  }

  receiveOffer(frame: ServerFrameOf<'offer'>): void {
    this.#run("answering the server's offer", async () => {
      if (this.#pc.signalingState !== 'stable') return;
      await this.#pc.setRemoteDescription({ type: 'offer', sdp: frame.sdp });
      await this.#addEarlyCandidates();
      await this.#setLocal(await this.#pc.createAnswer(), frame.sdp);
      if (this.#closed) return;
      this.#handlers.send({ type: 'answer', sdp: this.#pc.localDescription?.sdp ?? '' });
      this.#handlers.onStable('answerer');
      await this.#offer();
    });
  }

  receiveAnswer(frame: ServerFrameOf<'answer'>): void {
    this.#run("applying the server's answer", async () => {
      // After a resume the same answer may come twice.
      if (this.#pc.signalingState !== 'have-local-offer') return;
      this.#stopWaiting();
      await this.#pc.setRemoteDescription({ type: 'answer', sdp: this.#handlers.amendAnswer(frame.sdp) });
      await this.#addEarlyCandidates();
      if (this.#closed) return;
      this.#handlers.onStable('offerer');
      await this.#offer();
    });
  }

  receiveCandidate(frame: ServerFrameOf<'ice-candidate'>): void {
    const candidate: RTCIceCandidateInit = {
      candidate: frame.candidate,
      sdpMid: frame.sdpMid ?? null,
      sdpMLineIndex: frame.sdpMLineIndex ?? null,
      usernameFragment: frame.usernameFragment ?? null,
    };
    this.#run('adding a candidate', async () => {
      if (this.#pc.remoteDescription) await this.#addCandidate(candidate);
      else this.#early.push(candidate);
    });
  }

  /** An `error` frame; true when it says that our offer cannot be used. */
  receiveError(frame: ServerFrameOf<'error'>): boolean {
    if (frame.code !== 'invalid_offer' || !this.#answerTimer) return false;
    this.#run('rolling back a refused offer', async () => {
      if (this.#pc.signalingState !== 'have-local-offer') return;
      this.#stopWaiting();
      await this.#pc.setLocalDescription({ type: 'rollback' });
      this.#handlers.onRefused(new ClientError('negotiation_failed', frame.message, { hint: frame.hint }));
      await this.#offer();
    });
    return true;
  }

  /** Runs `task` once everything received so far has been applied. */
  afterwards(task: () => void): void {
    this.#run('going on', async () => task());
  }

  close(): void {
    this.#closed = true;
    this.#stopWaiting();
  }

  async #offer(): Promise<void> {
    if (!this.#wanted || this.#pc.signalingState !== 'stable') return;
    this.#wanted = false;
    await this.#setLocal(await this.#pc.createOffer());
    if (!this.#closed) this.#sendOffer();
  }

  async #setLocal({ type, sdp = '' }: RTCSessionDescriptionInit, offer?: string): Promise<void> {
    try {
      await this.#pc.setLocalDescription({ type, sdp: withOpusNack(sdp, offer) });
    } catch {
      // A browser that takes its description only as it made it.
      await this.#pc.setLocalDescription();
    }
  }

  #stopWaiting(): void {
    this.#answerTimer?.cancel();
    this.#answerTimer = undefined;
  }

  #sendOffer(): void {
    this.#stopWaiting();
    this.#answerTimer = this.#clock.after(ANSWER_TIMEOUT_MS, () => {
      const message = `the server did not answer an offer within ${ANSWER_TIMEOUT_MS / 1000} s`;
      this.#fail(new ClientError('negotiation_failed', message));
    });
    this.#handlers.send({
      type: 'offer',
      sdp: this.#pc.localDescription?.sdp ?? '',
      tracks: this.#handlers.describeTracks(),
    });
  }

  async #addEarlyCandidates(): Promise<void> {
    for (const candidate of this.#early.splice(0)) await this.#addCandidate(candidate);
  }

  async #addCandidate(candidate: RTCIceCandidateInit): Promise<void> {
    // A candidate that does not fit costs one path, never the call: only all of them failing does, and ICE says so.
    await this.#pc.addIceCandidate(candidate).catch(() => {});
  }

  #run(doing: string, task: () => Promise<void>): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#closed) return;
      try {
        await task();
      } catch (thrown) {
        this.#fail(
          new ClientError('negotiation_failed', `${doing} failed: ${describeError(thrown)}`, { cause: thrown }),
        );
      }
    });
  }

  #fail(error: ClientError): void {
    if (this.#closed) return;
    this.close();
    this.#handlers.onFailure(error);
  }
}
