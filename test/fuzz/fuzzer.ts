import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { encodeChannelData } from '@orama/turn/stun';
import { memoryBytes } from '../support/memory.ts';
import { Random } from '../support/random.ts';
import { DatagramClient, type FuzzClient, StreamClient } from './clients.ts';
import { FORBIDDEN_DATA, Judge } from './judge.ts';
import { putTogether, takeApart, unseal } from './message.ts';
import { mutateAttributes, mutateBytes } from './mutate.ts';
import { PEER_IP, PEER_IP6, PEER_PORTS, PUBLIC_IP, ServerUnderTest } from './server-under-test.ts';

/** Packets of one round: it begins with new clients and ends with an empty server. */
const ROUND_PACKETS = 1000;
/** The system gets a turn, and time passes, after so many packets. */
const BATCH_PACKETS = 10;
/** Longer than anything of a round lives. */
const ROUND_END_MS = 2 * 3_600_000;
/** Turns of the event loop that the end of a round may take. */
const SETTLE_TURNS = 20_000;
/** What the heap may grow by between the first rounds and the last. */
const HEAP_GROWTH_MAX_BYTES = 12 * 1024 * 1024;
/** Rounds after which the heap has its size: code is compiled, tables have grown to what they need. */
const WARM_UP_ROUNDS = 10;

/** Series of metrics: methods, codes, reasons and rules, whose names are ours. */
const SERIES_MAX = 400;

/** Metrics that count what lives; all of it has ended when a round has. */
const GONE_AT_THE_END = /^turn_(allocations|relay_ports_bound|stream_connections|table_entries)\b/;

/** A broken rule, with how to see it again. */
export class FuzzFailure extends Error {
  constructor(what: string, seed: number, packet: number, bytes: Buffer | undefined) {
    super(
      `${what}\n  after packet ${packet} of the round with seed ${seed}: ${bytes?.toString('hex') ?? 'none'}\n` +
        `  again: pnpm fuzz turn --seed ${seed} --packets ${ROUND_PACKETS}`,
    );
  }
}

export interface FuzzReport {
  packets: number;
  answers: ReadonlyMap<number, number>;
  relayedToClient: number;
  relayedToPeer: number;
  /** Bytes of heap and buffers after garbage collection, at the end of the warm-up and of the run. */
  heap: { before: number; after: number };
}

/**
 * Sends `packets` mutants of the corpus to a whole server: datagrams and chunks of streams, from strangers, from clients
 * with an allocation, sealed with credentials and not, and from peers. Throws a FuzzFailure for the first broken rule.
 */
export async function fuzz(options: {
  seed: number;
  packets: number;
  corpus: readonly Buffer[];
  onProgress?: (packets: number) => void;
}): Promise<FuzzReport> {
  const fuzzer = new Fuzzer(options.corpus);
  await fuzzer.start();
  try {
    const rounds = Math.ceil(options.packets / ROUND_PACKETS);
    let heapBefore = 0;
    for (let round = 0; round < rounds; round++) {
      await fuzzer.round(options.seed + round);
      if (round === Math.min(WARM_UP_ROUNDS, rounds) - 1) heapBefore = memoryBytes();
      options.onProgress?.((round + 1) * ROUND_PACKETS);
    }
    const heap = { before: heapBefore, after: memoryBytes() };
    if (heap.after - heap.before > HEAP_GROWTH_MAX_BYTES) {
      throw new Error(`memory grew from ${heap.before} to ${heap.after} bytes over the run of seed ${options.seed}`);
    }
    const { answers, relayedToClient, relayedToPeer } = fuzzer.judge;
    return { packets: rounds * ROUND_PACKETS, answers, relayedToClient, relayedToPeer, heap };
  } finally {
    await fuzzer.close();
  }
}

class Fuzzer {
  readonly judge = new Judge();
  readonly #corpus: readonly Buffer[];
  readonly #parts;
  #server!: ServerUnderTest;
  #real!: Socket;
  #clients = new Map<string, DatagramClient>();
  #users: DatagramClient[] = [];
  #streams: StreamClient[] = [];
  #random = new Random(0);
  #last: Buffer | undefined;

  constructor(corpus: readonly Buffer[]) {
    this.#corpus = corpus;
    this.#parts = corpus.flatMap((packet) => takeApart(packet) ?? []).map(unseal);
  }

  async start(): Promise<void> {
    process.on('unhandledRejection', this.#onUnhandled);
    process.on('uncaughtException', this.#onUnhandled);
    this.#server = await ServerUnderTest.start({
      toClient: (packet, address, port) => {
        const client = this.#clients.get(`${address}:${port}`);
        client?.receive(packet);
        return client !== undefined;
      },
      toPeer: (packet, address, port) => {
        this.judge.toPeer(address, port);
        // Some really go out: nobody listens there, so that the relay sockets live with what ICMP answers.
        return packet.length % 16 !== 0;
      },
      error: (line) => this.judge.accuse(`logged as an error: ${line}`),
    });
    this.#real = createSocket('udp4').bind({ address: '127.96.3.2', port: 0 });
    await once(this.#real, 'listening');
  }

  async close(): Promise<void> {
    for (const stream of this.#streams) stream.close();
    this.#real.close();
    await this.#server.close();
    process.off('unhandledRejection', this.#onUnhandled);
    process.off('uncaughtException', this.#onUnhandled);
  }

  /** One round: new clients, a thousand packets, everything gone again. */
  async round(seed: number): Promise<void> {
    const random = new Random(seed);
    this.#random = random;
    let packet = 0;
    const check = (what = this.judge.takeWrong()) => {
      if (what !== undefined) throw new FuzzFailure(what, seed, packet, this.#last);
    };
    check(await this.#begin(random));
    check();
    for (; packet < ROUND_PACKETS; packet++) {
      try {
        await this.#step(random);
      } catch (thrown) {
        check(`thrown at the socket: ${(thrown as Error).stack}`);
      }
      if (packet % BATCH_PACKETS === BATCH_PACKETS - 1) {
        await setImmediate();
        this.#server.clock.advance(random.chance(1) ? random.below(700_000) : random.below(400));
      }
      check();
    }
    check(await this.#end());
    check();
  }

  /** Clients with allocations: four that send datagrams, two with a connection. Says what they cannot do. */
  async #begin(random: Random): Promise<string | undefined> {
    const relayedBefore = this.judge.relayedToPeer;
    this.#clients.clear();
    this.#users = Array.from({ length: 4 }, (_, n) =>
      this.#datagramClient(`10.1.0.${n + 1}`, 1024 + random.below(60_000)),
    );
    this.#streams = Array.from({ length: 2 }, () => new StreamClient(this.#server, this.judge, random));
    for (const user of this.#users) await user.setUp(SETTLE_TURNS);
    for (const stream of this.#streams) {
      await stream.connect();
      await stream.setUp(SETTLE_TURNS);
    }
    for (let turn = 0; turn < SETTLE_TURNS; turn++) {
      if (this.judge.relayedToPeer - relayedBefore === this.#users.length + this.#streams.length) return undefined;
      await setImmediate();
    }
    return 'sound clients are not served';
  }

  async #step(random: Random): Promise<void> {
    const kind = random.below(100);
    if (kind < 55) {
      const client = random.chance(80) ? random.pick(this.#users) : random.pick([...this.#clients.values()]);
      if (random.chance(8)) await client.setUp();
      client.send(this.#note(this.#mutant(random, client)));
    } else if (kind < 70) {
      // A newcomer, with or without credentials: most of them never had a nonce.
      const client = this.#datagramClient(`10.2.${random.below(4)}.${random.below(256)}`, 1 + random.below(65_535));
      if (random.chance(30)) client.send(putTogether(random.pick(this.#parts)));
      client.send(this.#note(this.#mutant(random, client)));
    } else if (kind < 90) {
      await this.#streamStep(random);
    } else if (kind < 98) {
      const known = random.chance(60);
      const data = random.bytes(random.pick([0, 1, 20, 160, 1200, 9000]));
      if (!known && data.length > 0) data[0] = FORBIDDEN_DATA;
      else if (data.length > 0) data[0] = 0;
      const port = known ? PEER_PORTS.start + random.below(10) : 20_000;
      const peer = random.pick(known ? [PEER_IP, PEER_IP6] : ['127.96.0.9', '2001:db8::9']);
      this.#server.receiveFromPeer(this.#note(data), peer, port, random.below(1000));
    } else {
      this.#real.send(this.#note(this.#mutant(random, undefined)), this.#server.port, PUBLIC_IP);
    }
  }

  async #streamStep(random: Random): Promise<void> {
    const stream = random.pick(this.#streams);
    if (!stream.connected) {
      await stream.connect();
      if (random.chance(70)) await stream.setUp();
    } else if (random.chance(8)) {
      await stream.setUp();
    }
    const frames = [this.#mutant(random, stream)];
    if (random.chance(40)) frames.unshift(encodeChannelData(0x4000, random.bytes(random.below(200)), true));
    if (random.chance(20)) frames.push(random.pick(this.#corpus));
    stream.send(this.#note(Buffer.concat(frames)));
  }

  /** A mutant: of bytes, or of attributes and then sealed as `client` would. */
  #mutant(random: Random, client: FuzzClient | undefined): Buffer {
    if (client === undefined || random.chance(35)) return mutateBytes(random.pick(this.#corpus), this.#corpus, random);
    const message = mutateAttributes(random.pick(this.#parts), this.#corpus, random);
    // Now and then the same transaction again, which is a retransmission or looks like one.
    if (random.chance(90)) message.transactionId = random.bytes(12);
    // What carries credentials is dropped as an indication.
    const sealed = !isIndication(message.type) && random.chance(90) ? client.credentials : undefined;
    const packet = putTogether(message, sealed, random.chance(30));
    return random.chance(10) ? mutateBytes(packet, this.#corpus, random) : packet;
  }

  #datagramClient(address: string, port: number): DatagramClient {
    const name = `${address}:${port}`;
    const client = this.#clients.get(name) ?? new DatagramClient(this.#server, this.judge, this.#random, address, port);
    this.#clients.set(name, client);
    return client;
  }

  #note(bytes: Buffer): Buffer {
    this.#last = bytes;
    return bytes.length > 65_507 ? bytes.subarray(0, 65_507) : bytes;
  }

  /** Lets every lifetime end; says what is left over then. */
  async #end(): Promise<string | undefined> {
    for (const stream of this.#streams) stream.close();
    // An Allocate that is under way still gets its port.
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    this.#server.clock.advance(ROUND_END_MS);
    for (let turn = 0; turn < SETTLE_TURNS && this.#server.openSockets > 0; turn++) await setImmediate();
    const metrics = await this.#server.metrics();
    for (const [series, value] of metrics) {
      if (value !== 0 && GONE_AT_THE_END.test(series)) return `${series} is ${value} at the end of a round`;
    }
    if (this.#server.openSockets > 0) return `${this.#server.openSockets} sockets open at the end of a round`;
    return metrics.size > SERIES_MAX ? `${metrics.size} series of metrics` : undefined;
  }

  readonly #onUnhandled = (thrown: unknown): void => {
    this.judge.accuse(`not caught: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
  };
}

function isIndication(type: number): boolean {
  return (type & 0x0110) === 0x0010;
}
