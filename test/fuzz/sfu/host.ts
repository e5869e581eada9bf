import type { WebSocket } from 'ws';
import type { Memory } from '../rounds.ts';
import type { Transport } from './sdp.ts';
import type { Told } from './told.ts';

/**
 * How what a run makes reaches an SFU: its media handed to the connections of an SFU of this process, on a virtual clock,
 * which repeats nearly exactly; or all of it over the wire, to a process with real peers.
 */
export type Mode = 'handed' | 'wire';

/** One client's packets and messages on their way to the SFU. */
export interface Media {
  readonly transport: Transport;
  /** Takes the SFU's first answer; resolves when packets can be sent. */
  connect(answer: string): Promise<void>;
  send(packet: Buffer): void;
  openChannel(label: string, protocol: string): void;
  /** Sends a message on one of its channels; false when there is none. @param which chooses among them */
  sendMessage(message: string | Buffer, which: number): boolean;
  close(): void;
}

/** An SFU as a whole: its address, its time, what it holds. */
export interface Host {
  readonly address: string;
  /** Whether it takes newcomers: with too much to do it turns them away. */
  isReady(): Promise<boolean>;
  /** A signalling socket with a ticket for a room. */
  openSocket(room: string, identity: string): WebSocket;
  openMedia(peerId: string, withData: boolean, told: Told): Promise<Media>;
  nowMs(): number;
  /** Lets time pass where it does not by itself. */
  advance(ms: number): void;
  /** The SFU gets its turn. */
  turn(): Promise<void>;
  /** Ends a room, and lets everything end whose time comes. @returns what has not ended then */
  settle(room: string): Promise<string | undefined>;
  /** Every series of /metrics with its value. */
  metrics(): Promise<Map<string, number>>;
  memory(): Promise<Memory>;
  close(): Promise<void>;
}
