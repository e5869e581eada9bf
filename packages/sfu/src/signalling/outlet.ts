import type { ServerFrame, SignallingErrorCode } from '@orama/protocol';

/** Where a peer's frames go: its socket. */
export interface Outlet {
  send(frame: ServerFrame): void;
  /** Sends what is queued, then closes. Idempotent. */
  close(code: number, reason: string): void;
}

/** A frame that cannot be served: the client is told, the socket stays unless `closeCode` is set. */
export class FrameError extends Error {
  readonly code: SignallingErrorCode;
  readonly closeCode: number | undefined;

  constructor(code: SignallingErrorCode, message: string, options: { closeCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FrameError';
    this.code = code;
    this.closeCode = options.closeCode;
  }
}
