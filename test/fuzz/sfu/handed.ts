import { setImmediate } from 'node:timers/promises';
import { VirtualClock } from '@orama/core';
import { Sfu } from '@orama/sfu';
import { readMetrics } from '@orama/testkit';
import type { WebSocket } from 'ws';
import { memoryBytes } from '../../support/memory.ts';
import { errorLogger } from '../error-logger.ts';
import type { Memory } from '../rounds.ts';
import { HandedConnection } from './handed-connection.ts';
import type { Host, Media } from './host.ts';
import type { Judge } from './judge.ts';
import { NO_TRANSPORT } from './sdp.ts';
import { configOn, idleEventLoop, openSocket, ownAddress, SECRET, SIGNALLING_PORT } from './server.ts';
import type { Told } from './told.ts';

/** What memory may grow by between the first rounds and the last. */
const GROWTH_MAX_BYTES = 16 * 1024 * 1024;
/** Longer than anything lives that nobody holds on to. */
const ROUND_END_MS = 120_000;
/** Media looks at its own clock for zero as never. */
const BEGINNING_MS = 1_000;

/** A whole SFU of this process, on a virtual clock, to whose connections packets and messages are handed. */
export class Handed implements Host {
  readonly address = ownAddress(1);
  readonly #clock = new VirtualClock();
  readonly #judge: Judge;
  readonly #sfu: Sfu;
  readonly #connections = new Map<string, HandedConnection>();
  readonly #told = new Map<string, Told>();
  readonly #realNow = performance.now;
  #timers = 0;

  private constructor(judge: Judge) {
    this.#judge = judge;
    this.#clock.advance(BEGINNING_MS);
    // The media's time is the machine's.
    performance.now = () => this.#clock.monotonic();
    this.#sfu = new Sfu({
      config: configOn(this.address),
      secret: SECRET,
      logger: errorLogger((line) => judge.accuse(`logged as an error: ${line}`)),
      clock: this.#clock,
      parts: {
        connect: (options, events) => {
          const onSent = (packet: Buffer) => this.#sent(options.name, packet);
          const connection = new HandedConnection(options, events, onSent);
          this.#connections.set(options.name, connection);
          return connection;
        },
        eventLoop: idleEventLoop(),
      },
    });
  }

  static async start(judge: Judge): Promise<Handed> {
    const handed = new Handed(judge);
    await handed.#sfu.start();
    handed.#timers = handed.#clock.pending;
    return handed;
  }

  isReady(): Promise<boolean> {
    return Promise.resolve(true);
  }

  openSocket(room: string, identity: string): WebSocket {
    return openSocket(this.address, { room, identity }, this.nowMs());
  }

  async openMedia(peerId: string, _withData: boolean, told: Told): Promise<Media> {
    this.#told.set(peerId, told);
    const connection = () => this.#connections.get(peerId);
    return {
      transport: NO_TRANSPORT,
      connect: () => Promise.resolve(),
      send: (packet) => connection()?.deliver(packet),
      openChannel: (label, protocol) => connection()?.accept(label, protocol),
      sendMessage: (message, which) => {
        const channels = connection()?.channels ?? [];
        channels[which % channels.length]?.deliver(message);
        return channels.length > 0;
      },
      close: () => undefined,
    };
  }

  nowMs(): number {
    return this.#clock.now();
  }

  advance(ms: number): void {
    this.#clock.advance(ms);
  }

  turn(): Promise<void> {
    return setImmediate();
  }

  async settle(): Promise<string | undefined> {
    // What is still on its way to the SFU comes first.
    for (let turns = 0; turns < 3; turns++) await this.metrics();
    this.#clock.advance(ROUND_END_MS);
    this.#connections.clear();
    this.#told.clear();
    const { pending } = this.#clock;
    return pending === this.#timers ? undefined : `${pending} timers instead of ${this.#timers}`;
  }

  metrics(): Promise<Map<string, number>> {
    return readMetrics({ address: this.address, port: SIGNALLING_PORT });
  }

  async memory(): Promise<Memory> {
    return { bytes: memoryBytes(), growthMax: GROWTH_MAX_BYTES };
  }

  async close(): Promise<void> {
    const stopped = this.#sfu.stop();
    // Draining looks at its clock until the last peer has gone.
    void setImmediate().then(() => this.#clock.advance(ROUND_END_MS));
    await stopped;
    performance.now = this.#realNow;
  }

  #sent(peerId: string, packet: Buffer): void {
    this.#judge.packet(packet, this.#told.get(peerId));
  }
}
