import { RESUME_WINDOW_MS } from '@orama/protocol';

/** How the SDK comes back by itself. */
export interface ReconnectPolicy {
  /** Attempts in a row before giving up. */
  maxAttempts: number;
  /** Attempts of the very first join, whose failure the user is waiting for. */
  maxInitialAttempts: number;
  /** Delay of the second attempt; doubles with every further one. */
  baseDelayMs: number;
  maxDelayMs: number;
  /** The first attempt is spread over so long, because everybody in a failed room starts at the same moment. */
  firstSpreadMs: number;
}

export const DEFAULT_RECONNECT_POLICY: ReconnectPolicy = {
  maxAttempts: 20,
  maxInitialAttempts: 3,
  baseDelayMs: 300,
  maxDelayMs: 5_000,
  firstSpreadMs: 150,
};

/** A connection that held for so long makes up for the failures before it. */
export const STABLE_AFTER_MS = 5_000;

/**
 * Milliseconds to wait before attempt `attempt` (1, 2, 3 ...).
 * @param random a number in [0, 1)
 */
export function reconnectDelayMs(policy: ReconnectPolicy, attempt: number, random: number): number {
  if (attempt <= 1) return policy.firstSpreadMs * random;
  const full = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** Math.min(attempt - 2, 30));
  return full / 2 + (full / 2) * random;
}

/** Whether the server still keeps the media of a peer whose socket dropped `sinceMs` ago. */
export function canResume(sinceMs: number): boolean {
  return sinceMs < RESUME_WINDOW_MS;
}
