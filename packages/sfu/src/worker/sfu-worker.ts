import type { Duplex } from 'node:stream';
import {
  type Clock,
  EventLoopMeter,
  type InternalReply,
  type InternalRequest,
  issueTurnCredentials,
  type Logger,
  sfuControlKey,
  systemClock,
  type Timer,
} from '@orama/core';
import { createMetrics, type Registry } from '@orama/core/metrics';
import type { SfuConfig } from '@orama/protocol';
import { ChannelCounters } from '../data/channel-counters.ts';
import { MediaCounters } from '../media/counters.ts';
import { registerMetrics } from '../metrics.ts';
import type { SfuContext } from '../room/context.ts';
import { guardedClock } from '../room/guarded-clock.ts';
import { Rooms } from '../room/rooms.ts';
import type { Connect } from '../rtc/connection.ts';
import { PortBudget } from '../rtc/port-budget.ts';
import { StunFront } from '../rtc/stun-front.ts';
import { Acceptor } from '../signalling/acceptor.ts';
import { HttpSessions } from '../signalling/http-sessions.ts';
import { roomCommand } from '../signalling/room-commands.ts';
import { OverloadGuard } from './overload.ts';
import type { PortShare } from './port-shares.ts';
import { StepwiseWork } from './stepwise-work.ts';
import type { Upgrade, WorkerHandle, WorkerReport } from './worker-handle.ts';

/** Lost packets are asked for again, and key frames repeated, at this pace. */
const TICK_MS = 50;
/** Transport-wide feedback goes out at every second tick. */
const FEEDBACK_TICKS = 2;
const SWEEP_MS = 10_000;
const LOAD_WINDOW_MS = 1_000;

/** What a worker is made of; plain data, so that it can be sent to another process. */
export interface WorkerSettings {
  readonly id: number;
  readonly config: SfuConfig;
  readonly ports: PortShare;
  /** The namespace's SFU secret: by derivation it signs tickets and room commands. */
  readonly secret: string;
}

/** What a worker takes of the machine; a test brings its own. */
export interface WorkerParts {
  readonly connect?: Connect;
  readonly eventLoop?: EventLoopMeter;
}

/** Rooms and media of one event loop, and the signalling sockets that it was given; it listens nowhere itself. */
export class SfuWorker implements WorkerHandle {
  readonly id: number;
  readonly #clock: Clock;
  readonly #front: StunFront;
  readonly #ports: PortBudget;
  readonly #rooms: Rooms;
  readonly #acceptor: Acceptor;
  readonly #sessions: HttpSessions;
  readonly #registry: Registry;
  readonly #eventLoop: EventLoopMeter;
  readonly #overload = new OverloadGuard();
  readonly #timers: Timer[] = [];
  readonly #work = new StepwiseWork();
  #turn: SfuConfig['turn'];

  constructor(
    { id, config, ports: { start: portStart, end: portEnd }, secret }: WorkerSettings,
    logger: Logger,
    machineClock: Clock,
    { connect, eventLoop = new EventLoopMeter() }: WorkerParts = {},
  ) {
    // Where a fault of ours in a timer has nobody whom it ends, it ends nobody.
    const clock = guardedClock(machineClock, (thrown) => logger.error({ err: thrown }, 'a timer failed'));
    this.id = id;
    this.#turn = config.turn;
    this.#clock = clock;
    this.#eventLoop = eventLoop;
    const counters = new MediaCounters();
    const channels = new ChannelCounters();
    const ports = new PortBudget(portStart, portEnd, clock);
    this.#ports = ports;
    this.#front = new StunFront({ address: config.address, portStart, portEnd, clock });
    const context: SfuContext = {
      config: { ...config, mediaPortStart: portStart, mediaPortEnd: portEnd },
      clock,
      logger,
      counters,
      channels,
      ports,
      front: this.#front,
      controlKey: sfuControlKey(secret),
      connect,
      isBusy: () => this.#overload.isBusy,
      issueCredentials: () =>
        this.#turn.uris.length === 0
          ? null
          : issueTurnCredentials({
              secret: this.#turn.secret,
              namespace: config.namespace,
              ttlSec: this.#turn.credentialTtlSec,
              uris: this.#turn.uris,
              nowMs: clock.now(),
            }),
    };
    this.#rooms = new Rooms(context);
    this.#acceptor = new Acceptor({ rooms: this.#rooms, clock, logger });
    this.#sessions = new HttpSessions({ rooms: this.#rooms, clock, logger });
    this.#registry = createMetrics('sfu');
    registerMetrics(this.#registry, this.#rooms, counters, channels, ports, this.#front, () => this.report);
  }

  get report(): WorkerReport {
    return {
      rooms: this.#rooms.ids,
      liveRooms: this.#rooms.roomCount,
      peers: this.#rooms.peerCount,
      busy: this.#overload.isBusy || this.#ports.isFull,
      eventLoop: this.#eventLoop.load,
    };
  }

  async start(): Promise<void> {
    await this.#front.start();
    let ticks = 0;
    this.#timers.push(
      this.#clock.every(TICK_MS, () => {
        // What is left of the tick before comes first: a worker that full has no time for more.
        if (!this.#work.isUnderWay) this.#work.begin(this.#rooms.tick(++ticks % FEEDBACK_TICKS === 0));
      }),
      this.#clock.every(SWEEP_MS, () => this.#rooms.sweep()),
      // The event loop is real, whatever clock the rooms live by.
      systemClock.every(LOAD_WINDOW_MS, () => {
        this.#eventLoop.turn();
        this.#overload.note(this.#eventLoop.load);
      }),
    );
  }

  accept(upgrade: Upgrade, socket: Duplex): void {
    this.#acceptor.accept(upgrade, socket);
  }

  async request(request: InternalRequest): Promise<InternalReply | undefined> {
    return roomCommand(this.#rooms, this.#sessions, request);
  }

  useTurn(turn: SfuConfig['turn']): void {
    this.#turn = turn;
  }

  metrics(): Promise<object[]> {
    return this.#registry.getMetricsAsJSON();
  }

  drain(timeoutMs: number): void {
    this.#rooms.drain(timeoutMs);
  }

  async close(): Promise<void> {
    this.#rooms.closeAll();
    for (const timer of this.#timers) timer.cancel();
    this.#work.stop();
    this.#eventLoop.close();
    await this.#acceptor.close();
    this.#front.close();
  }
}
