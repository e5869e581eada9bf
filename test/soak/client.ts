import { type PeerData, TurnClient, type TurnClientOptions } from '@orama/testkit';
import type { Random } from '../support/random.ts';

/** Lifetimes that a client has to keep up with; the server's allocations live twice as long as they are refreshed. */
const REFRESH_SEC = 60;
const PERMISSION_SEC = 240;
const CHANNEL_SEC = 540;
const TALK_SEC = 15;
/** Data that got no echo is sent again: these are datagrams. */
const TALK_ATTEMPTS = 5;
const ECHO_TIMEOUT_MS = 1000;
const CHANNEL = 0x4001;

/** What a client has done, summed over all of them. */
export interface Tally {
  clients: number;
  vanished: number;
  requests: number;
  echoes: number;
  /** What went wrong, by what was said. */
  failures: Map<string, number>;
}

/** One user: comes, allocates, talks with a peer both ways, keeps everything alive, and leaves or vanishes. */
export class SoakClient {
  readonly #options: TurnClientOptions;
  readonly #peer: { address: string; port: number };
  readonly #random: Random;
  readonly #tally: Tally;
  /** Seconds of its life so far, and in all. */
  #ageSec = 0;
  readonly #lifeSec: number;
  /** Talks on a channel rather than by indications. */
  readonly #onChannel: boolean;
  #client: TurnClient | undefined;

  constructor(options: {
    turn: TurnClientOptions;
    peer: { address: string; port: number };
    lifeSec: number;
    random: Random;
    tally: Tally;
  }) {
    this.#options = options.turn;
    this.#peer = options.peer;
    this.#lifeSec = options.lifeSec;
    this.#random = options.random;
    this.#tally = options.tally;
    this.#onChannel = options.random.chance(70);
  }

  /** Lives one second; true when that was the last one. A failure is counted and ends the life. */
  async liveSecond(): Promise<boolean> {
    try {
      if (this.#client === undefined) await this.#arrive();
      else await this.#carryOn(this.#client);
      this.#ageSec++;
      if (this.#ageSec < this.#lifeSec) return false;
      await this.leave();
    } catch (thrown) {
      const what = (thrown as Error).message;
      this.#tally.failures.set(what, (this.#tally.failures.get(what) ?? 0) + 1);
      await this.#client?.close();
    }
    return true;
  }

  /** Ends its allocation, or just goes: every fourth does. */
  async leave(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    this.#client = undefined;
    if (this.#random.chance(25)) this.#tally.vanished++;
    else await this.#request(client.refresh(0));
    await client.close();
  }

  async #arrive(): Promise<void> {
    const client = await TurnClient.open(this.#options);
    this.#client = client;
    this.#tally.clients++;
    if (this.#random.chance(20)) await this.#request(client.binding());
    await this.#request(client.allocate());
    await this.#bind(client);
    await this.#talk(client);
  }

  async #carryOn(client: TurnClient): Promise<void> {
    const age = this.#ageSec;
    if (age % REFRESH_SEC === 0) await this.#request(client.refresh());
    if (age % (this.#onChannel ? CHANNEL_SEC : PERMISSION_SEC) === 0) await this.#bind(client);
    else if (age % PERMISSION_SEC === 0) await this.#request(client.createPermission(this.#peer.address));
    if (age % TALK_SEC === 0) await this.#talk(client);
  }

  #bind(client: TurnClient): Promise<void> {
    const { address, port } = this.#peer;
    return this.#request(
      this.#onChannel ? client.channelBind(CHANNEL, address, port) : client.createPermission(address),
    );
  }

  /** Sends data through the peer, which sends it back. */
  async #talk(client: TurnClient): Promise<void> {
    const data = this.#random.bytes(1 + this.#random.below(1200));
    for (let attempt = 1; ; attempt++) {
      const echo = client.nextData(ECHO_TIMEOUT_MS);
      if (this.#onChannel) client.channelData(CHANNEL, data);
      else client.send(this.#peer.address, this.#peer.port, data);
      try {
        this.#check(await echo, data);
        return;
      } catch (thrown) {
        if (attempt === TALK_ATTEMPTS) throw thrown;
      }
    }
  }

  #check(echo: PeerData, data: Buffer): void {
    if (!echo.data.equals(data)) throw new Error('an echo is not what was sent');
    if ((echo.channel === CHANNEL) !== this.#onChannel) throw new Error('an echo came another way than it went');
    this.#tally.echoes++;
  }

  #request<T>(answer: Promise<T>): Promise<T> {
    this.#tally.requests++;
    return answer;
  }
}
