import type { RecordableHistogram } from 'node:perf_hooks';
import { describeError, type Logger } from '@orama/core';
import type { BugLog } from '../bug-log.ts';
import type { DropCounters } from '../relay/relay.ts';
import { DgramSockets } from './dgram-sockets.ts';
import type { MakeSockets, UdpSocket, UdpSocketOptions, UdpSockets } from './udp-socket.ts';

type OpenSockets = (drops: DropCounters, bugs: BugLog) => Promise<UdpSockets>;

/** Loaded only here: the native library behind it may be missing or not be made for this machine. */
const openBatched: OpenSockets = async (drops, bugs) => {
  const { openBatchedSockets } = await import('./batched/open-batched.ts');
  return openBatchedSockets(drops, bugs);
};

/** The fastest UDP sockets this machine has: batched where they pass their self-test, Node's own otherwise. */
export class PreferredSockets implements UdpSockets {
  readonly #drops: DropCounters;
  readonly #bugs: BugLog;
  readonly #logger: Logger;
  readonly #openFastest: OpenSockets;
  #chosen: Promise<UdpSockets> | undefined;
  #sockets: UdpSockets | undefined;

  /** @param openFastest rejects where this machine does not have them */
  constructor(drops: DropCounters, bugs: BugLog, logger: Logger, openFastest = openBatched) {
    this.#drops = drops;
    this.#bugs = bugs;
    this.#logger = logger;
    this.#openFastest = openFastest;
  }

  /** Known once a socket is open. */
  get canSetDf(): boolean {
    return this.#sockets?.canSetDf ?? false;
  }

  get turn(): number {
    return this.#sockets?.turn ?? 0;
  }

  /** Milliseconds that this thread has slept in these sockets, outside of its event loop. */
  get sleptMs(): number {
    return this.#sockets?.sleptMs ?? 0;
  }

  get standstill(): RecordableHistogram | undefined {
    return this.#sockets?.standstill;
  }

  async open(options: UdpSocketOptions): Promise<UdpSocket> {
    this.#chosen ??= this.#choose();
    return (await this.#chosen).open(options);
  }

  /** Gives back what the sockets share. They are closed before. */
  async close(): Promise<void> {
    await (await this.#chosen)?.close();
  }

  async #choose(): Promise<UdpSockets> {
    try {
      this.#sockets = await this.#openFastest(this.#drops, this.#bugs);
      this.#logger.info({ sockets: 'batched' }, 'udp sockets chosen');
      return this.#sockets;
    } catch (thrown) {
      this.#logger.info({ sockets: 'dgram', reason: describeError(thrown) }, 'udp sockets chosen');
      this.#sockets = new DgramSockets(this.#drops, this.#bugs);
      return this.#sockets;
    }
  }
}

/** Makes the fastest UDP sockets this machine has. */
export const preferredSockets: MakeSockets = (drops, bugs, logger) => new PreferredSockets(drops, bugs, logger);
