import { setTimeout as delay } from 'node:timers/promises';
import { SyntheticPeer } from '@orama/testkit';
import type { Access, Bed } from './bed/bed.ts';
import { HUB_ADDRESSES } from './bed/network.ts';

/** Audio comes every 20 ms, so that so long without any is an outage for whoever listens. */
const OUTAGE_MS = 500;
/** So long without anything from somebody who is there, and a client joins anew. */
const GIVE_UP_MS = 2_000;
const JOIN_TIMEOUT_MS = 6_000;
const RETRY_MS = 250;
const LOOK_MS = 50;

/** Two who talk to each other for the whole run, and come back by whatever node is there when they are cut off. */
export class Call {
  readonly room: string;
  readonly #sides: [Side, Side];

  constructor(bed: Bed, access: Access, number: number) {
    this.room = `call-${number}`;
    const side = (name: string, index: number) =>
      new Side({
        bed,
        access,
        room: this.room,
        name,
        localAddress: HUB_ADDRESSES[index % HUB_ADDRESSES.length] as string,
      });
    this.#sides = [side('ann', number * 2), side('bob', number * 2 + 1)];
    for (const [i, each] of this.#sides.entries()) each.begin(this.#sides[1 - i] as Side);
  }

  /** True while both hear each other. */
  get flows(): boolean {
    return this.#sides.every((side) => side.silentMs < OUTAGE_MS);
  }

  /** How often the two had to join, the first time included. */
  get joins(): number {
    return this.#sides.reduce((sum, side) => sum + side.joins, 0);
  }

  /** What went wrong with what arrived: a packet twice, or numbers that go back. Empty when all was well. */
  get faults(): string[] {
    return this.#sides.flatMap((side) => side.faults);
  }

  /** Why the two are not talking, for messages. */
  get trouble(): string {
    return this.#sides.map((side) => `${side.name}: ${side.troubles.at(-1)?.text}`).join('; ');
  }

  /** What has troubled them since a moment of `performance.now()`. */
  troublesSince(startedAt: number): string[] {
    return this.#sides
      .flatMap(({ name, troubles }) => troubles.map((trouble) => ({ ...trouble, name })))
      .filter(({ at }) => at >= startedAt)
      .sort((a, b) => a.at - b.at)
      .map(({ at, name, text }) => `${this.room}, ${name}, after ${((at - startedAt) / 1000).toFixed(1)} s: ${text}`);
  }

  async end(): Promise<void> {
    await Promise.all(this.#sides.map((side) => side.end()));
  }
}

interface SideOptions {
  bed: Bed;
  access: Access;
  room: string;
  name: string;
  localAddress: string;
}

/** One of the two: a client that joins until it is in, and again whenever it hears nothing. */
class Side {
  readonly name: string;
  readonly faults: string[] = [];
  joins = 0;
  readonly troubles: { at: number; text: string }[] = [];
  readonly #options: SideOptions;
  #peer: SyntheticPeer | null = null;
  #heardAt = Number.NEGATIVE_INFINITY;
  #ended = false;
  #closing: Promise<unknown> = Promise.resolve();
  #done: Promise<void> = Promise.resolve();

  constructor(options: SideOptions) {
    this.#options = options;
    this.name = options.name;
  }

  /** For how long nothing of the other has come. */
  get silentMs(): number {
    return performance.now() - this.#heardAt;
  }

  get peerId(): string | null {
    return this.#peer?.peerId ?? null;
  }

  begin(other: Side): void {
    this.#done = this.#live(other);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#done;
  }

  async #live(other: Side): Promise<void> {
    for (let node = this.#options.bed.machines.length; !this.#ended; node++) {
      const peer = await this.#join((node % this.#options.bed.machines.length) + 1);
      if (!peer) {
        await delay(RETRY_MS);
        continue;
      }
      this.joins++;
      this.#note(`joined by node ${(node % this.#options.bed.machines.length) + 1}`);
      this.#peer = peer;
      await this.#listen(peer, other);
      this.#peer = null;
      // Giving back an allocation takes its time where the TURN server is gone.
      this.#closing = Promise.all([this.#closing, peer.close()]);
    }
    await this.#closing;
  }

  async #join(node: number): Promise<SyntheticPeer | null> {
    const { bed, access, room, name, localAddress } = this.#options;
    const { apiKey } = access;
    const target = { gateway: bed.gateway(node), host: bed.hostOf(access.name), apiKey, room };
    const joining = SyntheticPeer.join({ ...target, name, transport: 'udp', anyServer: true, localAddress });
    try {
      return await Promise.race([
        joining,
        delay(JOIN_TIMEOUT_MS).then(() => Promise.reject(new Error('took too long'))),
      ]);
    } catch (thrown) {
      this.#note(`joining by node ${node}: ${thrown instanceof Error ? thrown.message : thrown}`);
      // It may come about after all.
      void joining.then(
        (late) => late.close(),
        () => {},
      );
      return null;
    }
  }

  /** Takes what comes until the socket ends or nothing has come for too long. */
  async #listen(peer: SyntheticPeer, other: Side): Promise<void> {
    let open = true;
    void peer.signalling.closed.then(({ code, reason }) => {
      open = false;
      this.#note(`the socket ended with ${code} ${reason}`);
    });
    const heard = new Map<string, number>();
    let lastAt = performance.now();
    while (open && !this.#ended) {
      const { peerId } = other;
      const numbers = peerId === null ? [] : peer.receivedOf(peerId, 'audio');
      const before = heard.get(peerId ?? '') ?? 0;
      if (numbers.length > before && peerId !== null) {
        this.#heardAt = lastAt = performance.now();
        this.#check(numbers, before);
        heard.set(peerId, numbers.length);
      }
      // Who is alone waits.
      if (peerId === null) lastAt = performance.now();
      if (peer.fault !== undefined) {
        this.#note(`its connection broke: ${peer.fault}`);
        return;
      }
      if (performance.now() - lastAt > GIVE_UP_MS) {
        this.#note(`nothing came for ${GIVE_UP_MS} ms`);
        return;
      }
      await delay(LOOK_MS);
    }
  }

  #note(text: string): void {
    this.troubles.push({ at: performance.now(), text });
  }

  #check(numbers: readonly number[], from: number): void {
    const repeated = new Set(numbers).size < numbers.length;
    if (repeated) this.faults.push(`${this.name} got a packet twice (of ${numbers.length}, from ${from} on)`);
  }
}
