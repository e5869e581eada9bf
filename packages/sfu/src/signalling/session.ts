import { type Clock, formatIssues, type Logger, type Timer, TokenBucket } from '@orama/core';
import {
  type ClientFrame,
  type ClientFrameOf,
  clientFrameSchema,
  FRAME_RATE,
  JOIN_TIMEOUT_MS,
  METADATA_MAX_BYTES,
  NEGOTIATION_RATE,
  PEER_SILENCE_MS,
  type ServerFrame,
  type SfuTicket,
  SIGNALLING_CLOSE,
  SIGNALLING_FRAME_MAX_BYTES,
  type SignallingErrorCode,
} from '@orama/protocol';
import type { WebSocket } from 'ws';
import type { Peer } from '../room/peer.ts';
import type { Rooms } from '../room/rooms.ts';
import { lineCount } from '../rtc/sdp.ts';
import type { Dialect } from './dialects.ts';
import { FrameError, type Outlet } from './outlet.ts';

const HEARTBEAT_MS = 10_000;
/** A client that reads so slowly is cut off; it may come back and resume. */
const MAX_BUFFERED_BYTES = 2 * 1024 * 1024;
const NEGOTIATION_FRAMES = new Set<ClientFrame['type']>(['offer', 'answer', 'ice-candidate']);
/** An offer counts once for so many lines: what it costs to read grows with them. Answers are to offers of ours. */
const LINES_PER_FRAME = 500;
/** Close codes by which a client says that it leaves for good; anything else is a dropped connection. */
const LEAVING_CODES = new Set<number>([SIGNALLING_CLOSE.normal, SIGNALLING_CLOSE.goingAway]);

export interface SessionOptions {
  socket: WebSocket;
  dialect: Dialect;
  ticket: SfuTicket;
  rooms: Rooms;
  clock: Clock;
  logger: Logger;
}

/** One signalling socket: frames checked and counted before anything else sees them. */
export class Session implements Outlet {
  readonly #socket: WebSocket;
  readonly #dialect: Dialect;
  readonly #ticket: SfuTicket;
  readonly #rooms: Rooms;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #negotiationRate: TokenBucket;
  readonly #frameRate: TokenBucket;
  readonly #joinTimer: Timer;
  readonly #heartbeat: Timer;
  #peer: Peer | null = null;
  #leave: ((reason: 'left' | 'protocol-error') => void) | null = null;
  /** The room is being made ready for it. */
  #opening = false;
  #brokeProtocol = false;
  #lastSignMs: number;
  #maxBufferedBytes = MAX_BUFFERED_BYTES;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#socket = options.socket;
    this.#dialect = options.dialect;
    this.#ticket = options.ticket;
    this.#rooms = options.rooms;
    this.#clock = options.clock;
    this.#logger = options.logger.child({ room: options.ticket.room });
    const nowMs = this.#clock.monotonic();
    this.#lastSignMs = nowMs;
    this.#negotiationRate = new TokenBucket(NEGOTIATION_RATE, nowMs);
    this.#frameRate = new TokenBucket(FRAME_RATE, nowMs);
    this.#joinTimer = this.#clock.after(JOIN_TIMEOUT_MS, () => {
      if (!this.#peer)
        this.#refuse(
          new FrameError('invalid_join', 'no join came in time', { closeCode: SIGNALLING_CLOSE.protocolError }),
        );
    });
    this.#heartbeat = this.#clock.every(HEARTBEAT_MS, () => this.#checkLife());
    const { socket } = options;
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#receive(data, isBinary));
    socket.on('pong', () => this.#noteLife());
    socket.on('ping', () => this.#noteLife());
    socket.on('error', (thrown: Error & { code?: string }) => {
      // Such as a frame beyond every limit; the WebSocket layer has closed the socket.
      this.#brokeProtocol = thrown.code?.startsWith('WS_ERR_') === true;
      this.#logger.debug({ err: thrown }, 'signalling socket failed');
    });
    socket.on('close', (code) => this.#guard(() => this.#ended(code)));
  }

  send(frame: ServerFrame): void {
    if (this.#closed) return;
    if (this.#socket.bufferedAmount > this.#maxBufferedBytes) {
      this.#logger.warn({ reason: 'slow reader' }, 'signalling socket cut off');
      this.#socket.terminate();
      return;
    }
    const text = this.#dialect.encode(frame);
    // It tells of everybody in the room, and may be larger by itself than what else may wait.
    if (frame.type === 'welcome') this.#maxBufferedBytes = MAX_BUFFERED_BYTES + Buffer.byteLength(text);
    this.#socket.send(text);
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#peer = null;
    this.#leave = null;
    this.#socket.close(code, reason.slice(0, 120));
    // A client that never answers the close would keep the socket.
    this.#clock.after(2_000, () => this.#socket.terminate());
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.#noteLife();
    if (this.#closed || this.#socket.readyState !== this.#socket.OPEN) return;
    this.#guard(() => this.#dispatch(this.#parse(data, isBinary), data.length));
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.#refuse(
        thrown instanceof FrameError
          ? thrown
          : new FrameError('internal', 'the frame could not be handled', {
              closeCode: SIGNALLING_CLOSE.protocolError,
              cause: thrown,
            }),
      );
    }
  }

  #parse(data: Buffer, isBinary: boolean): ClientFrame {
    if (isBinary) throw new FrameError('invalid_message', 'frames are JSON text');
    let value: unknown;
    try {
      value = this.#dialect.decode(data.toString('utf8'));
    } catch {
      // Malformed frames count too, or they would be free.
      this.#takeFrame();
      throw new FrameError('invalid_message', 'the frame is not JSON of the expected form');
    }
    const parsed = clientFrameSchema.safeParse(value);
    if (parsed.success) return parsed.data;
    this.#takeFrame();
    throw new FrameError(
      'invalid_message',
      `the frame does not fit its schema:\n${formatIssues(parsed.error).slice(0, 1_000)}`,
    );
  }

  #dispatch(frame: ClientFrame, bytes: number): void {
    const isDescription = frame.type === 'offer' || frame.type === 'answer';
    if (!isDescription && bytes > SIGNALLING_FRAME_MAX_BYTES)
      throw new FrameError('frame_too_large', `frames take at most ${SIGNALLING_FRAME_MAX_BYTES} bytes`, {
        closeCode: SIGNALLING_CLOSE.tooBig,
      });
    const bucket = NEGOTIATION_FRAMES.has(frame.type) ? this.#negotiationRate : this.#frameRate;
    const count = frame.type === 'offer' ? Math.ceil(lineCount(frame.sdp) / LINES_PER_FRAME) : 1;
    if (!bucket.take(this.#clock.monotonic(), count)) throw rateLimited();
    if (frame.type === 'join') {
      this.#join(frame);
      return;
    }
    if (frame.type === 'ping' && !this.#peer) {
      this.send({ type: 'pong', ...(frame.id === undefined ? {} : { id: frame.id }) });
      return;
    }
    if (!this.#peer) throw new FrameError('invalid_state', 'join first');
    if (frame.type === 'peer-state') requireSmall(frame.metadata, 'frame_too_large');
    this.#peer.handle(frame);
  }

  #join(frame: ClientFrameOf<'join'>): void {
    if (this.#peer || this.#opening) throw new FrameError('invalid_state', 'this connection has joined already');
    const { room } = this.#ticket;
    if (frame.room !== undefined && frame.room !== room)
      throw new FrameError('room_mismatch', `this connection was opened for the room ${room}`, {
        closeCode: SIGNALLING_CLOSE.notAllowed,
      });
    requireSmall(frame.metadata, 'invalid_join');
    const opening = this.#rooms.open(this.#ticket);
    if (opening) void this.#joinLater(opening, frame);
    else this.#enter(frame);
  }

  // Meanwhile nothing is read from the client.
  async #joinLater(opening: Promise<void>, frame: ClientFrameOf<'join'>): Promise<void> {
    this.#opening = true;
    this.#socket.pause();
    const refusal = await opening.then(
      () => null,
      (thrown: unknown) =>
        new FrameError('sfu_unavailable', 'the server that holds the room cannot be reached; reconnect', {
          closeCode: SIGNALLING_CLOSE.moved,
          cause: thrown,
        }),
    );
    this.#opening = false;
    if (this.#closed) return;
    this.#socket.resume();
    this.#guard(() => {
      if (refusal) throw refusal;
      this.#enter(frame);
    });
  }

  #enter(frame: ClientFrameOf<'join'>): void {
    const joined = this.#rooms.join({
      ticket: this.#ticket,
      name: frame.name,
      metadata: frame.metadata,
      resume: frame.resume,
      channels: frame.channels ?? true,
      outlet: this,
    });
    this.#joinTimer.cancel();
    this.#peer = joined.peer;
    this.#leave = (reason) => joined.room.leave(joined.peer, reason);
  }

  // Told in-band, because a browser reads no status of its own; closed where going on makes no sense.
  #refuse(error: FrameError): void {
    if (error.code === 'internal') this.#logger.error({ err: error.cause }, 'signalling frame failed');
    else this.#logger.debug({ reason: error.code, detail: error.message }, 'signalling frame refused');
    this.send({ type: 'error', code: error.code, message: error.message });
    if (error.closeCode === undefined) return;
    const leave = this.#leave;
    this.close(error.closeCode, error.code);
    leave?.('protocol-error');
  }

  #takeFrame(): void {
    if (!this.#frameRate.take(this.#clock.monotonic())) throw rateLimited();
  }

  #noteLife(): void {
    this.#lastSignMs = this.#clock.monotonic();
  }

  #checkLife(): void {
    if (this.#clock.monotonic() - this.#lastSignMs >= PEER_SILENCE_MS) {
      this.#logger.info({ reason: 'silent' }, 'signalling socket cut off');
      this.#socket.terminate();
    } else {
      this.#socket.ping();
    }
  }

  #ended(code: number): void {
    this.#closed = true;
    this.#joinTimer.cancel();
    this.#heartbeat.cancel();
    const peer = this.#peer;
    const leave = this.#leave;
    this.#peer = null;
    this.#leave = null;
    if (this.#brokeProtocol) leave?.('protocol-error');
    else if (LEAVING_CODES.has(code)) leave?.('left');
    else peer?.detach(this);
  }
}

/** @throws FrameError with `code` when the metadata is larger than it may be */
function requireSmall(metadata: Record<string, unknown> | undefined, code: SignallingErrorCode): void {
  if (metadata && Buffer.byteLength(JSON.stringify(metadata)) > METADATA_MAX_BYTES)
    throw new FrameError(code, `metadata takes at most ${METADATA_MAX_BYTES} bytes`);
}

function rateLimited(): FrameError {
  return new FrameError('rate_limited', 'too many frames', { closeCode: SIGNALLING_CLOSE.rateLimited });
}
