import { encodeChannelData } from '@orama/turn/stun';
import type { Random } from '../../support/random.ts';
import {
  type Fuzzed,
  type FuzzOptions,
  leftIn,
  type Memory,
  type MemoryReport,
  playRounds,
  type Round,
} from '../rounds.ts';
import { Blunderer, DatagramClient, type FuzzClient, StreamClient } from './clients.ts';
import { readCorpus } from './corpus.ts';
import { FORBIDDEN_DATA, Judge } from './judge.ts';
import { putTogether, takeApart, unseal } from './message.ts';
import { mutateAttributes, mutateBytes } from './mutate.ts';
import { type Mode, randomTenant, type ServerUnderTest, tenantWith } from './server-under-test.ts';
import { startServer } from './start.ts';

/** Turns of the server that the beginning and the end of a round may take. */
const SETTLE_TURNS = 20_000;

/** Series of metrics: methods, codes, reasons and rules, whose names are ours. */
const SERIES_MAX = 400;

/** Metrics that count what lives; all of it has ended when a round has. */
const GONE_AT_THE_END = /^turn_(allocations|relay_ports_bound|stream_connections|table_entries)\b/;

/** Inputs by how they came, and changes of the tenant meanwhile. */
interface FuzzInputs {
  udp: number;
  tcp: number;
  tls: number;
  peers: number;
  changes: number;
}

export interface FuzzReport {
  inputs: Readonly<FuzzInputs>;
  answers: ReadonlyMap<number, number>;
  relayedToClient: number;
  relayedToPeer: number;
  memory: MemoryReport;
}

/**
 * Sends mutants of the corpus to a whole server: datagrams and chunks of streams, from strangers, from clients with an
 * allocation, sealed with credentials and not, and from peers, while its tenant is attached, detached and changed.
 * Throws a FuzzFailure for the first broken rule.
 */
export async function fuzzTurn(mode: Mode, options: FuzzOptions): Promise<FuzzReport> {
  const fuzzer = new Fuzzer(mode, readCorpus());
  const memory = await playRounds(fuzzer, { target: 'turn', mode }, options);
  const { answers, relayedToClient, relayedToPeer } = fuzzer.judge;
  return { inputs: fuzzer.inputs, answers, relayedToClient, relayedToPeer, memory };
}

class Fuzzer implements Fuzzed {
  readonly judge = new Judge();
  readonly inputs: FuzzInputs = { udp: 0, tcp: 0, tls: 0, peers: 0, changes: 0 };
  readonly #mode: Mode;
  readonly #corpus: readonly Buffer[];
  readonly #parts;
  readonly #blunderer = new Blunderer();
  #server!: ServerUnderTest;
  #clients: DatagramClient[] = [];
  #users: DatagramClient[] = [];
  #streams: StreamClient[] = [];
  /** The change of the tenant that is under way. */
  #change: Promise<void> | undefined;
  #round!: Round;

  constructor(mode: Mode, corpus: readonly Buffer[]) {
    this.#mode = mode;
    this.#corpus = corpus;
    this.#parts = corpus.flatMap((packet) => takeApart(packet) ?? []).map(unseal);
  }

  async start(): Promise<void> {
    this.#server = await startServer(this.#mode, {
      toPeer: (address, port) => this.judge.toPeer(address, port),
      error: (line) => this.judge.accuse(`logged as an error: ${line}`),
    });
  }

  async close(): Promise<void> {
    for (const stream of this.#streams) stream.close();
    this.#blunderer.close();
    this.#server.way.close();
    await this.#server.host.close();
  }

  memory(): Promise<Memory> {
    return this.#server.host.memory();
  }

  async play(round: Round): Promise<void> {
    this.#round = round;
    const { random } = round;
    round.check(await this.#begin(random));
    round.check();
    round.doing = 'sending';
    await round.sendInputs(
      () => this.#step(random),
      async () => {
        await this.#server.way.turn();
        this.#server.host.advance(random.chance(1) ? random.below(700_000) : random.below(400));
      },
    );
    round.doing = 'ending';
    round.check(await this.#end());
    round.check();
  }

  /** Clients with allocations: four that send datagrams, four with a connection. Says what they cannot do. */
  async #begin(random: Random): Promise<string | undefined> {
    await this.#server.host.attach(tenantWith());
    const relayedBefore = this.judge.relayedToPeer;
    this.#clients = [];
    for (let n = 0; n < 4; n++) await this.#newcomer(random);
    this.#users = [...this.#clients];
    this.#streams = (['tcp', 'tls', 'tcp', 'tls'] as const).map(
      (protocol) => new StreamClient(protocol, this.#server, this.judge, random),
    );
    for (const user of this.#users) await user.setUp(SETTLE_TURNS);
    for (const stream of this.#streams) {
      await stream.connect();
      await stream.setUp(SETTLE_TURNS);
    }
    for (let turn = 0; turn < SETTLE_TURNS; turn++) {
      if (this.judge.relayedToPeer - relayedBefore === this.#users.length + this.#streams.length) return undefined;
      await this.#server.way.turn();
    }
    return 'sound clients are not served';
  }

  async #step(random: Random): Promise<void> {
    const kind = random.below(100);
    if (kind < 44) {
      this.inputs.udp++;
      const client = random.pick(random.chance(80) ? this.#users : this.#clients);
      if (random.chance(8)) await client.setUp();
      client.send(this.#note(this.#mutant(random, client)));
    } else if (kind < 54) {
      // A newcomer, with or without credentials: most of them never had a nonce.
      this.inputs.udp++;
      const client = await this.#newcomer(random);
      if (random.chance(30)) client.send(putTogether(random.pick(this.#parts)));
      client.send(this.#note(this.#mutant(random, client)));
    } else if (kind < 90) {
      await this.#streamStep(random.pick(this.#streams), random);
    } else if (kind < 91) {
      this.inputs.tls++;
      this.#blunderer.send(this.#server.host.ports.tls, this.#note(this.#likeTls(random)));
    } else if (kind < 99) {
      this.inputs.peers++;
      const from = random.chance(60) ? 'peer' : 'stranger';
      const data = random.bytes(random.pick([0, 1, 20, 160, 1200, 9000]));
      if (data.length > 0) data[0] = from === 'peer' ? 0 : FORBIDDEN_DATA;
      this.#server.way.fromPeer(this.#note(data), from, this.judge.relayed, random);
    } else {
      this.#changeTenant(random);
    }
  }

  async #streamStep(stream: StreamClient, random: Random): Promise<void> {
    this.inputs[stream.protocol]++;
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

  /** Detaches the tenant now and then, and gives it other settings, while everything goes on. */
  #changeTenant(random: Random): void {
    if (this.#change !== undefined) return;
    this.inputs.changes++;
    const { host } = this.#server;
    const [gone, tenant] = [random.chance(30), randomTenant(random)];
    const change = async () => {
      if (gone) await host.detach();
      await host.attach(tenant);
    };
    this.#change = change()
      .catch((thrown: unknown) => this.judge.accuse(`a change of the tenant failed: ${String(thrown)}`))
      .finally(() => {
        this.#change = undefined;
      });
  }

  /** A mutant: of bytes, or of attributes and then sealed as `client` would. */
  #mutant(random: Random, client: FuzzClient): Buffer {
    if (random.chance(35)) return mutateBytes(random.pick(this.#corpus), this.#corpus, random);
    const message = mutateAttributes(random.pick(this.#parts), this.#corpus, random);
    // Now and then the same transaction again, which is a retransmission or looks like one.
    if (random.chance(90)) message.transactionId = random.bytes(12);
    // What carries credentials is dropped as an indication.
    const sealed = !isIndication(message.type) && random.chance(90) ? client.credentials : undefined;
    const packet = putTogether(message, sealed, random.chance(30));
    return random.chance(10) ? mutateBytes(packet, this.#corpus, random) : packet;
  }

  /** A mutant as it is, or in what may be a TLS record: of a handshake (22), an alert (21) or data (23). */
  #likeTls(random: Random): Buffer {
    const mutant = mutateBytes(random.pick(this.#corpus), this.#corpus, random);
    if (random.chance(30)) return mutant;
    const header = Buffer.of(random.pick([21, 22, 23]), 3, random.below(5), 0, 0, 1, 0, 0, 0);
    header.writeUInt16BE(mutant.length & 0xffff, 3);
    header.writeUInt16BE(mutant.length & 0xffff, 7);
    return Buffer.concat([header.subarray(0, random.pick([5, 9])), mutant]);
  }

  async #newcomer(random: Random): Promise<DatagramClient> {
    const client = await DatagramClient.open(this.#server, this.judge, random);
    this.#clients.push(client);
    return client;
  }

  #note(bytes: Buffer): Buffer {
    this.#round.last = bytes;
    return bytes.length > 65_507 ? bytes.subarray(0, 65_507) : bytes;
  }

  /** Lets everything end; says what is left over then. */
  async #end(): Promise<string | undefined> {
    const { host, way } = this.#server;
    for (const stream of this.#streams) stream.close();
    this.#blunderer.close();
    await this.#change;
    // An Allocate that is under way still gets its port.
    for (let turn = 0; turn < 5; turn++) await way.turn();
    await host.expire();
    let left: string | undefined;
    for (let turn = 0; turn < SETTLE_TURNS; turn++) {
      left = await this.#left();
      if (left === undefined) break;
      await way.turn();
    }
    way.clear();
    return left;
  }

  async #left(): Promise<string | undefined> {
    const { host, way } = this.#server;
    if (way.openSockets > 0) return `${way.openSockets} sockets open at the end of a round`;
    const metrics = await host.metrics();
    const left = leftIn(metrics, GONE_AT_THE_END);
    if (left !== undefined) return left;
    return metrics.size > SERIES_MAX ? `${metrics.size} series of metrics` : undefined;
  }
}

function isIndication(type: number): boolean {
  return (type & 0x0110) === 0x0010;
}
