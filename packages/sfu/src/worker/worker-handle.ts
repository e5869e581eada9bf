import type { Duplex } from 'node:stream';
import type { EventLoopLoad, InternalReply, InternalRequest } from '@orama/core';
import type { SfuConfig, SfuTicket } from '@orama/protocol';

/** A WebSocket upgrade whose ticket was looked at; plain data, so that it can be sent to another process. */
export interface Upgrade {
  readonly target: string;
  readonly headers: Record<string, string>;
  /** What came behind the request. */
  readonly head: Uint8Array;
  /** Null when the ticket was refused: the client is told so on its socket. */
  readonly ticket: SfuTicket | null;
}

/** What a worker holds and how it fares. */
export interface WorkerReport {
  /** Every room it has, also those that are empty. */
  readonly rooms: readonly string[];
  /** Rooms with somebody in them. */
  readonly liveRooms: number;
  readonly peers: number;
  /** It turns new peers away, because its event loop is late or its media ports are used up. */
  readonly busy: boolean;
  readonly eventLoop: EventLoopLoad;
}

/** One of the SFU's workers, in this process or in another. */
export interface WorkerHandle {
  /** 0 for the process that listens. */
  readonly id: number;
  /** The last report, at most about a second old. */
  readonly report: WorkerReport;
  /** Gives a client's socket to it. */
  accept(upgrade: Upgrade, socket: Duplex): void;
  /** A room command whose signature was checked. */
  request(request: InternalRequest): Promise<InternalReply | undefined>;
  /** The TURN servers that clients are led to from now on, and the secret of their credentials. */
  useTurn(turn: SfuConfig['turn']): void;
  /** Its metrics in prom-client's JSON form. */
  metrics(): Promise<object[]>;
  /** No new peers; everyone is told to reconnect within `timeoutMs`. */
  drain(timeoutMs: number): void;
  /** Ends every room and closes everything. */
  close(): Promise<void>;
}
