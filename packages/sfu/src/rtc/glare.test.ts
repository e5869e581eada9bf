import { VirtualClock } from '@orama/core';
import fc from 'fast-check';
import { parse } from 'sdp-transform';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { browserOffer } from '../testing/browser-offer.ts';
import type { Codec } from './codecs.ts';
import { Negotiation } from './negotiation.ts';
import { StunFront } from './stun-front.ts';

const VP8: Codec = {
  ...{ name: 'VP8', clockRate: 90_000, channels: 1, payloadType: 96, fmtp: '' },
  ...{ rtxPayloadType: undefined, feedback: [], key: 'vp8/90000/1;' },
};
const ADDRESS = '127.42.254.1';
const front = new StunFront({ address: ADDRESS, portStart: 40_000, portEnd: 40_099, clock: new VirtualClock() });
beforeAll(() => front.start());
afterAll(() => front.close());

type Message = { type: 'offer' | 'answer'; sdp: string };
interface Line {
  mid: string;
  kind: 'video' | 'application';
  direction: 'sendonly' | 'recvonly' | 'inactive';
}

/** The offers and answers of a browser (RFC 9429) with the SDK's rule: an offer that crosses its own is ignored. */
class ModelClient {
  /** As negotiated. */
  #lines: Line[] = [];
  #offered: Line[] | null = null;
  /** Own tracks, by mid. */
  readonly sending = new Set<string>();
  readonly toServer: Message[] = [];
  #isDue = false;
  #tracks = 0;

  add(): void {
    this.sending.add(String(this.#tracks++));
    this.#isDue = true;
    this.#offer();
  }

  remove(at: number): void {
    const mid = [...this.sending][at % Math.max(1, this.sending.size)];
    if (mid === undefined) return;
    this.sending.delete(mid);
    this.#isDue = true;
    this.#offer();
  }

  receive({ type, sdp }: Message): void {
    if (type === 'answer') {
      if (!this.#offered) throw new Error('an answer without an offer');
      this.#lines = this.#agree(sdp);
      this.#offered = null;
    } else {
      if (this.#offered) return;
      this.#lines = this.#agree(sdp);
      this.toServer.push({ type: 'answer', sdp: write(this.#lines, 'passive') });
    }
    this.#offer();
  }

  /** Mids on which something of ours goes, as both sides agreed; and on which something comes. */
  get agreed(): { sent: string[]; received: string[] } {
    const mids = (wanted: string) => this.#lines.filter(({ direction }) => direction === wanted).map(({ mid }) => mid);
    return { sent: mids('sendonly').sort(), received: mids('recvonly').sort() };
  }

  #offer(): void {
    if (this.#offered || !this.#isDue) return;
    this.#isDue = false;
    const known = new Set(this.#lines.map(({ mid }) => mid));
    const fresh = [...this.sending].filter((mid) => !known.has(mid));
    const lines = [...this.#lines, ...fresh.map((mid): Line => ({ mid, kind: 'video', direction: 'sendonly' }))];
    this.#offered = lines.map((line) => (isOurs(line) ? line : { ...line, direction: this.#wish(line.mid) }));
    this.toServer.push({ type: 'offer', sdp: write(this.#offered, 'actpass') });
  }

  #wish(mid: string): Line['direction'] {
    return this.sending.has(mid) ? 'sendonly' : 'inactive';
  }

  // The server's description, seen from here.
  #agree(sdp: string): Line[] {
    const media = parse(sdp).media;
    const before = this.#offered ?? this.#lines;
    before.forEach(({ mid }, index) => {
      if (String(media[index]?.mid) !== mid) throw new Error(`m-line ${index} is no longer ${mid}`);
    });
    return media.map(({ mid: parsed, type, direction, port }): Line => {
      const line = { mid: String(parsed), kind: type as Line['kind'] };
      if (port === 0) return { ...line, direction: 'inactive' };
      if (direction === 'sendonly') return { ...line, direction: 'recvonly' };
      return { ...line, direction: direction === 'recvonly' && this.sending.has(line.mid) ? 'sendonly' : 'inactive' };
    });
  }
}

const isOurs = ({ mid }: Pick<Line, 'mid'>) => mid.startsWith('s');
const write = (lines: readonly Line[], setup: string) =>
  browserOffer(
    lines.map(({ mid, kind, direction }) => ({
      kind,
      mid,
      direction,
      ...(isOurs({ mid }) ? {} : { ssrc: 1_000 + Number(mid) * 2 }),
    })),
    setup,
  );

type Act = ['add' | 'take' | 'give' | 'drop' | 'toClient' | 'toServer' | 'restart', number];

/** Plays the acts against a real Negotiation, then lets everything that is under way arrive. */
async function play(acts: readonly Act[]) {
  const clock = new VirtualClock();
  const client = new ModelClient();
  const toClient: Message[] = [];
  const faults: unknown[] = [];
  const published = new Set<string>();
  const given = new Map<string, string>();
  let tracks = 0;
  const negotiation = new Negotiation(
    {
      ...{ connection: { name: 'n', address: ADDRESS }, clock, forceRelay: true, maxUplinks: 64, front },
      isDecodable: () => true,
      takePort: () => () => {},
    },
    {
      sendOffer: (sdp) => toClient.push({ type: 'offer', sdp }),
      ...{ sendCandidate: () => {}, onState: () => {}, onControl: () => {}, onPath: () => {}, onChannel: () => {} },
      onFault: (thrown) => faults.push(thrown),
    },
  );
  const serve = ({ type, sdp }: Message) => {
    if (type === 'answer') {
      negotiation.handleAnswer(sdp);
      return;
    }
    const { added, removed, answer } = negotiation.handleOffer(sdp);
    toClient.push({ type: 'answer', sdp: answer });
    for (const mid of removed) published.delete(mid);
    for (const { mid } of added) published.add(mid);
  };
  const run: Record<Act[0], (at: number) => void> = {
    add: () => client.add(),
    take: (at) => client.remove(at),
    give: () => {
      const trackId = `t${tracks++}`;
      const place = negotiation.addDownlink({
        ...{ kind: 'video', codec: VP8, cname: 'c', streamId: 's', trackId },
        ...{ onReady: () => {}, onStopped: () => faults.push(`${trackId} was stopped`) },
      });
      given.set(trackId, place.mid);
    },
    drop: (at) => {
      const [trackId, mid] = [...given][at % Math.max(1, given.size)] ?? [];
      if (trackId === undefined || mid === undefined) return;
      given.delete(trackId);
      negotiation.removeDownlink(mid, 0);
    },
    toClient: () => {
      const message = toClient.shift();
      if (message) client.receive(message);
    },
    toServer: () => {
      const message = client.toServer.shift();
      if (message) serve(message);
    },
    restart: () => negotiation.restartIce(),
  };
  const settle = async (ms: number) => {
    for (let i = 0; i < 3; i++) await Promise.resolve();
    clock.advance(ms);
  };
  try {
    for (const [act, at] of acts) {
      run[act](at);
      await settle(at);
    }
    for (let quiet = 0; quiet < 3; quiet++) {
      await settle(1_000);
      while (toClient.length + client.toServer.length > 0) {
        quiet = 0;
        run.toClient(0);
        run.toServer(0);
        await settle(10);
      }
    }
    return { agreed: client.agreed, sending: [...client.sending].sort(), published, given, faults, negotiation };
  } finally {
    negotiation.close();
  }
}

test('whatever is added and taken away on both sides, however offers cross: in the end each side has what the other sends', async () => {
  const name = fc.constantFrom<Act[0]>(
    'add',
    'add',
    'take',
    'give',
    'give',
    'drop',
    'toClient',
    'toClient',
    'toServer',
    'toServer',
    'restart',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(name, fc.nat(150)), { maxLength: 40 }), async (acts) => {
      const { agreed, sending, published, given, faults, negotiation } = await play(acts as Act[]);
      expect(faults).toEqual([]);
      expect(agreed.sent).toEqual(sending);
      expect([...published].sort()).toEqual(sending);
      expect(agreed.received).toEqual([...given.values()].sort());
      expect(negotiation.isOffering).toBe(false);
    }),
    { numRuns: 150 },
  );
});
