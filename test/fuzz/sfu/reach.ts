import { type InputKind, KINDS } from './kinds.ts';

/** Counts of the SFU that rise where the work on an input is, behind every check of its form. */
const COUNTERS = {
  'RTP that reached a track': 'orama_sfu_packets_in_total',
  'RTP sent on': 'orama_sfu_packets_out_total',
  'packets asked for': 'orama_sfu_nacked_packets_in_total',
  'sent again': 'orama_sfu_retransmitted_packets_total',
  'key frames asked for': 'orama_sfu_key_frame_requests_in_total',
  'key frames asked of publishers': 'orama_sfu_key_frame_requests_out_total',
  'messages taken': 'orama_sfu_data_messages_in_total',
  'messages sent on': 'orama_sfu_data_messages_out_total',
} as const;

/** How far inputs get: a mutant that is refused at the first look tests no more than that look. */
export class Reach {
  /** Inputs of each kind. */
  readonly sent = new Map<InputKind, number>(KINDS.map((kind) => [kind, 0]));
  /** Those that were taken: answered without an error, where an answer comes. */
  readonly taken = new Map<InputKind, number>();
  #counters: readonly (readonly [name: string, count: number])[] = [];

  countSent(kind: InputKind): void {
    this.sent.set(kind, (this.sent.get(kind) ?? 0) + 1);
  }

  countTaken(kind: InputKind): void {
    this.taken.set(kind, (this.taken.get(kind) ?? 0) + 1);
  }

  /** Takes the SFU's counts so far. */
  read(metrics: ReadonlyMap<string, number>): void {
    this.#counters = Object.entries(COUNTERS).map(([name, metric]) => [name, metricOf(metrics, metric)]);
  }

  /** What the SFU counted. */
  get counters(): ReadonlyMap<keyof typeof COUNTERS, number> {
    return new Map(this.#counters) as Map<keyof typeof COUNTERS, number>;
  }

  /** Of a kind that is answered, the share that was taken; undefined for others. */
  shareOf(kind: InputKind): number | undefined {
    const taken = this.taken.get(kind);
    return taken === undefined ? undefined : taken / (this.sent.get(kind) ?? Number.NaN);
  }
}

/** A metric's value, whatever its labels. */
export function metricOf(metrics: ReadonlyMap<string, number>, name: string): number {
  for (const [series, value] of metrics) if (series === name || series.startsWith(`${name}{`)) return value;
  return Number.NaN;
}
