import type { Timer } from '@orama/core';
import { CREDENTIAL_REFRESH_FRACTION, type ServerFrame } from '@orama/protocol';
import type { SfuContext } from './context.ts';

/** Sends TURN credentials to one peer, and new ones before they expire. */
export class CredentialPush {
  readonly #context: SfuContext;
  readonly #send: (frame: ServerFrame) => void;
  #timer: Timer | null = null;

  constructor(context: SfuContext, send: (frame: ServerFrame) => void) {
    this.#context = context;
    this.#send = send;
  }

  start(): void {
    this.#push('turn-credentials');
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #push(type: 'turn-credentials' | 'refresh-credentials'): void {
    this.#timer?.cancel();
    const credentials = this.#context.issueCredentials();
    if (!credentials) return;
    this.#send({ type, ...credentials });
    const refreshMs = credentials.ttl * 1000 * CREDENTIAL_REFRESH_FRACTION;
    this.#timer = this.#context.clock.after(refreshMs, () => this.#push('refresh-credentials'));
  }
}
