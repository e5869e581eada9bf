import { describeError, type Logger, OramaError, UserError } from '@orama/core';
import type { SfuSessionIceAnswer, SfuSessionOpened } from '@orama/protocol';
import type { PortAllocationsRepository, RoomsRepository } from '@orama/store';
import type { Principal } from '../auth/authenticator.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { Seat, Seated } from '../signalling/seat-watch.ts';
import type { WebrtcSettings, WebrtcSettingsReader } from '../webrtc-settings.ts';
import type { RoomPlacer } from './room-placer.ts';
import { SfuCallError, type SfuClient } from './sfu-client.ts';
import { listSfus, type Sfu, sfuAt } from './sfus.ts';
import { ticketOf } from './ticket.ts';

/** SFUs that are tried for one client before it is sent away. */
const MAX_TRIES = 3;
/** Sessions whose end this gateway was not told of are forgotten in order of age beyond so many. */
const MAX_WATCHED = 4_000;

export interface HttpSessionDeps {
  placer: RoomPlacer;
  rooms: RoomsRepository;
  ports: PortAllocationsRepository;
  settings: WebrtcSettingsReader;
  client: SfuClient;
  logger: Logger;
  metrics: GatewayMetrics;
}

/** What a WHIP or WHEP client asks for. */
export interface HttpSessionRequest {
  room: string;
  /** `whip` sends only, `whep` receives only. */
  kind: 'whip' | 'whep';
  offer: string;
  /** Shown to the others in the room. */
  name?: string | undefined;
  /** Peer id or name of the publisher to play. */
  publisher?: string | undefined;
}

/** Which session a call is about. */
export interface HttpSessionName {
  room: string;
  session: string;
}

/**
 * Sessions of WHIP and WHEP clients. They live in the SFU; any gateway finds them again by their room, so that nothing
 * here has to survive. This gateway only watches over those it opened: see `SeatWatch`.
 */
export class HttpSessionService {
  readonly #deps: HttpSessionDeps;
  /** By session name, oldest first. */
  readonly #watched = new Map<string, Seated>();

  constructor(deps: HttpSessionDeps) {
    this.#deps = deps;
  }

  /** Sessions that this gateway opened and has not seen the end of. */
  get seated(): Iterable<Seated> {
    return this.#watched.values();
  }

  /**
   * Opens a session at the SFU of the room, which is placed now if it has none that works.
   * Throws UserError (the offer, the room or the caller is refused), OramaError SFU_UNAVAILABLE.
   */
  async open(principal: Principal, { room, kind, ...request }: HttpSessionRequest): Promise<SfuSessionOpened> {
    const { placer, client, logger, metrics } = this.#deps;
    const { publish, subscribe } = principal.permissions;
    if (!(kind === 'whip' ? publish : subscribe))
      throw new UserError('FORBIDDEN', `this credential may not ${kind === 'whip' ? 'publish' : 'subscribe'}`);
    const settings = await this.#deps.settings.of(principal.namespace);
    const failed = new Set<string>();
    while (failed.size < MAX_TRIES) {
      const placed = await placer.place(principal.namespace, room, { failed, atHome: true });
      if (!placed) break;
      const ticket = ticketOf(principal, placed);
      const permissions = { ...ticket.permissions, publish: kind === 'whip', subscribe: kind === 'whep', data: false };
      try {
        const body = { ...request, ticket: { ...ticket, permissions } };
        const opened = await client.openSession(placed.sfu, settings.controlKey, body);
        this.#watch(opened.session, { principal, placed }, settings);
        return opened;
      } catch (thrown) {
        if (!(thrown instanceof SfuCallError)) throw thrown;
        const reason = describeError(thrown);
        logger.warn({ ns: principal.namespace, sfu: placed.sfu.nodeId, reason }, 'SFU did not take a session');
        metrics.sfuFailures.inc();
        placer.suspect(placed.sfu);
        failed.add(placed.sfu.nodeId);
      }
    }
    throw new OramaError('SFU_UNAVAILABLE', 'no SFU of the namespace takes sessions', {
      retryable: true,
      hint: 'try again in a moment',
    });
  }

  /** Hands an ICE fragment over. Throws UserError SESSION_NOT_FOUND, PRECONDITION_FAILED, INVALID_REQUEST; SfuCallError. */
  async ice(
    principal: Principal,
    { room, session }: HttpSessionName,
    { fragment, ifMatch }: { fragment: string; ifMatch: string },
  ): Promise<SfuSessionIceAnswer> {
    const { settings, sfu } = await this.#locate(principal.namespace, room);
    const { identity } = principal;
    return this.#deps.client.sessionIce(sfu, settings.controlKey, { room, identity, session, fragment, ifMatch });
  }

  /** Ends a session. Throws UserError SESSION_NOT_FOUND; SfuCallError. */
  async close({ namespace, identity }: Principal, { room, session }: HttpSessionName): Promise<void> {
    const { settings, sfu } = await this.#locate(namespace, room);
    await this.#deps.client.closeSession(sfu, settings.controlKey, { room, identity, session });
    this.#watched.delete(session);
  }

  async #locate(namespace: string, room: string): Promise<{ settings: WebrtcSettings; sfu: Sfu }> {
    const settings = await this.#deps.settings.of(namespace);
    const row = await this.#deps.rooms.get(namespace, room);
    const sfu = sfuAt(await listSfus(this.#deps.ports, namespace), row?.place ?? null);
    if (!sfu) throw new UserError('SESSION_NOT_FOUND', 'there is no such session, or no longer');
    return { settings, sfu };
  }

  #watch(session: string, seat: Seat, { controlKey }: WebrtcSettings): void {
    const { client, logger } = this.#deps;
    const { principal, placed } = seat;
    const end = () => {
      this.#watched.delete(session);
      const which = { room: placed.row.roomId, identity: principal.identity, session };
      client.closeSession(placed.sfu, controlKey, which).catch((thrown: unknown) => {
        const isGone = thrown instanceof UserError || (thrown instanceof SfuCallError && thrown.absent);
        if (!isGone) logger.warn({ ns: principal.namespace, err: thrown }, 'a session could not be ended');
      });
    };
    this.#watched.set(session, { seat, refuse: end, moveAway: end });
    const [oldest] = this.#watched.keys();
    if (this.#watched.size > MAX_WATCHED && oldest !== undefined) this.#watched.delete(oldest);
  }
}
