import type { IncomingHttpHeaders } from 'node:http';
import { type Clock, describeError, type Logger, OramaError, signTicket, UserError } from '@orama/core';
import { JOIN_TIMEOUT_MS, roomIdSchema, SIGNALLING_CLOSE, type SignallingErrorCode } from '@orama/protocol';
import type { WebSocket } from 'ws';
import type { Authenticator, Principal } from '../auth/authenticator.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { PlacedRoom, RoomPlacer } from '../rooms/room-placer.ts';
import { ticketOf } from '../rooms/ticket.ts';
import type { WebrtcSettings, WebrtcSettingsReader } from '../webrtc-settings.ts';
import { DialError, dialSfu } from './dial.ts';
import { nodeOfResume, readJoinFrame } from './join-frame.ts';
import { type Ending, isSendableCode, Leg } from './leg.ts';
import { errorFrame, type Refusal, refusalOf } from './refusal.ts';
import type { Seat, Seated } from './seat-watch.ts';
import type { Served } from './sfu-watch.ts';

/** SFUs that are tried for one client before it is sent away. */
const MAX_DIALS = 3;
/** A close frame without a code (RFC 6455, 7.4.1). */
const NO_STATUS = 1005;
/** Close codes by which an SFU says that it is leaving: the client is told to come back, and finds another. */
const GONE_CODES: number[] = [SIGNALLING_CLOSE.goingAway, SIGNALLING_CLOSE.moved];
/** Reason of a close by an SFU that takes no more peers; it is as good as before for those it has. */
const FULL: SignallingErrorCode = 'capacity';

export interface SessionDeps {
  authenticator: Authenticator;
  settings: WebrtcSettingsReader;
  placer: RoomPlacer;
  clock: Clock;
  logger: Logger;
  metrics: GatewayMetrics;
  joinTimeoutMs?: number;
}

/** What the upgrade request said. */
export interface Opening {
  headers: IncomingHttpHeaders;
  query: URLSearchParams;
}

/**
 * One client's signalling: who it is, which room, which SFU holds it, and then a pipe in both directions until either
 * side ends. The client's end is told to the SFU as it happened: a close frame as a close frame, a lost network as a lost
 * network, so that the SFU keeps the media of a client that may come back.
 */
export class SignallingSession implements Seated, Served {
  readonly #deps: SessionDeps;
  readonly #opening: Opening;
  readonly #client: Leg;
  #sfu: Leg | null = null;
  #seat: Seat | null = null;

  constructor(socket: WebSocket, opening: Opening, deps: SessionDeps) {
    this.#deps = deps;
    this.#opening = opening;
    this.#client = new Leg(socket, deps.clock);
  }

  /** Null until the pipe stands. */
  get seat(): Seat | null {
    return this.#seat;
  }

  /** Runs the session; settles when the client's socket has ended. Never throws. */
  async run(): Promise<Ending> {
    try {
      await this.#open();
    } catch (thrown) {
      const refusal = refusalOf(thrown);
      if (refusal.code === 'internal') this.#deps.logger.error({ err: thrown }, 'signalling session failed');
      this.refuse(refusal);
    }
    const ending = await this.#client.ended;
    this.#endSfu(ending);
    return ending;
  }

  /** Tells the client why, then closes; if it was in a room already, it leaves that at once. */
  refuse(refusal: Refusal): void {
    this.#sfu?.close(SIGNALLING_CLOSE.normal, refusal.code);
    const { socket } = this.#client;
    if (this.#client.isOpen) socket.send(errorFrame(refusal, socket.protocol));
    this.#client.close(refusal.close, refusal.code);
  }

  /** The room is elsewhere now: the client leaves this SFU and joins anew. */
  moveAway(): void {
    this.#sfu?.close(SIGNALLING_CLOSE.normal, 'the room has moved');
    this.#client.close(SIGNALLING_CLOSE.moved, 'the room has moved');
  }

  /** The SFU is lost: it is shown a lost network, and the client is told to come back, which finds another. */
  dropSfu(): void {
    this.#sfu?.terminate();
  }

  /** This gateway is leaving: the SFU sees a lost network, and keeps the media until the client comes back. */
  goAway(): void {
    this.#sfu?.terminate();
    this.#client.close(SIGNALLING_CLOSE.goingAway, 'the gateway is stopping');
  }

  terminate(): void {
    this.#client.terminate();
  }

  /** One beat of both sockets; ends the session when one of them is dead. */
  beat(silenceMs: number): void {
    if (!this.#client.beat(silenceMs)) this.#client.terminate();
    else if (this.#sfu && !this.#sfu.beat(silenceMs)) this.#sfu.terminate();
  }

  async #open(): Promise<void> {
    const { authenticator, settings: reader } = this.#deps;
    const { headers, query } = this.#opening;
    const wanted = query.get('room');
    // Nothing is read from the client before there is somewhere to put it, except the join that names its room.
    this.#client.pause();
    const principal = await authenticator.authenticate(headers, query);
    const settings = await reader.of(principal.namespace);
    const room = wanted === null ? await this.#roomOfJoin() : this.#roomOfQuery(wanted);
    if (room === null) return;
    await this.#connect(principal, settings, room);
  }

  #roomOfQuery(wanted: string): string | null {
    const room = roomIdSchema.safeParse(wanted);
    if (room.success) return room.data;
    this.refuse({
      code: 'invalid_join',
      close: SIGNALLING_CLOSE.noSuchRoom,
      message: 'the room id is not 1-128 printable ASCII characters without spaces',
    });
    return null;
  }

  async #roomOfJoin(): Promise<string | null> {
    this.#client.resume();
    const message = await this.#client.firstMessage(this.#deps.joinTimeoutMs ?? JOIN_TIMEOUT_MS);
    this.#client.pause();
    if (message === null) {
      this.refuse({ code: 'invalid_join', close: SIGNALLING_CLOSE.protocolError, message: 'no join came in time' });
      return null;
    }
    const frame = readJoinFrame(message);
    if (frame.ok) return frame.room;
    const tooBig = frame.code === 'frame_too_large';
    this.refuse({ ...frame, close: tooBig ? SIGNALLING_CLOSE.tooBig : SIGNALLING_CLOSE.protocolError });
    return null;
  }

  /** The node whose SFU this client resumes at, by the token in its join. */
  async #knownTo(): Promise<string | undefined> {
    this.#client.resume();
    const message = await this.#client.firstMessage(this.#deps.joinTimeoutMs ?? JOIN_TIMEOUT_MS);
    this.#client.pause();
    return message ? nodeOfResume(message) : undefined;
  }

  /** Connects to the SFU that serves the room, moving the room when that one does not work, and starts the pipe. */
  async #connect(principal: Principal, settings: WebrtcSettings, room: string): Promise<void> {
    const { placer, logger, metrics } = this.#deps;
    const failed = new Set<string>();
    while (failed.size < MAX_DIALS && !this.#client.isEnded) {
      const placed = await placer.place(principal.namespace, room, { failed, known: () => this.#knownTo() });
      if (!placed) break;
      try {
        const leg = await this.#dial(principal, settings, placed);
        this.#pipe(leg, { principal, placed });
        return;
      } catch (thrown) {
        if (!(thrown instanceof DialError)) throw thrown;
        if (thrown.status === 403) throw new UserError('FORBIDDEN', 'this caller was removed from the room');
        const reason = describeError(thrown);
        logger.warn({ ns: principal.namespace, sfu: placed.sfu.nodeId, reason }, 'SFU did not take a connection');
        metrics.sfuFailures.inc();
        placer.suspect(placed.sfu);
        failed.add(placed.sfu.nodeId);
      }
    }
    if (this.#client.isEnded) return;
    throw new OramaError('SFU_UNAVAILABLE', 'no SFU of the namespace takes connections', {
      retryable: true,
      hint: 'connect again in a moment',
    });
  }

  #dial(principal: Principal, settings: WebrtcSettings, placed: PlacedRoom): Promise<Leg> {
    const { clock } = this.#deps;
    const ticket = signTicket(settings.controlKey, ticketOf(principal, placed), clock.now());
    const subprotocol = this.#client.socket.protocol;
    return dialSfu({ sfu: placed.sfu, room: placed.row.roomId, ticket, subprotocol, clock });
  }

  #pipe(sfu: Leg, seat: Seat): void {
    if (this.#client.isEnded) {
      sfu.terminate();
      return;
    }
    this.#sfu = sfu;
    this.#seat = seat;
    sfu.pipeTo(this.#client);
    this.#client.pipeTo(sfu);
    void sfu.ended.then((ending) => this.#endClient(ending, seat));
  }

  #endClient({ code, reason }: Ending, seat: Seat): void {
    if (!this.#client.isOpen) return;
    if (isSendableCode(code) && !GONE_CODES.includes(code)) {
      this.#client.close(code, reason);
      return;
    }
    if (reason === FULL) this.#deps.placer.noteFull(seat.placed);
    else this.#noteFailure(seat.placed);
    this.#client.close(SIGNALLING_CLOSE.moved, reason || 'the SFU went away');
  }

  #noteFailure({ sfu, home }: PlacedRoom): void {
    this.#deps.placer.suspect(sfu);
    // One that only served the room has gone because the home did.
    if (home !== sfu) this.#deps.placer.suspect(home);
    this.#deps.metrics.sfuFailures.inc();
  }

  #endSfu({ code, reason }: Ending): void {
    if (!this.#sfu || this.#sfu.isEnded) return;
    if (isSendableCode(code)) this.#sfu.close(code, reason);
    else if (code === NO_STATUS) this.#sfu.close(SIGNALLING_CLOSE.normal, reason);
    else this.#sfu.terminate();
  }
}
