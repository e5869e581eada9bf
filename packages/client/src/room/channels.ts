import { ClientError, describeError } from '../errors.ts';
import type { RemoteParticipant } from './participants.ts';

/** How a data channel delivers, and to whom; reliable, in order and to everybody unless it says otherwise. */
export interface ChannelOptions {
  /** The only one who gets it, and can answer on it. */
  to?: RemoteParticipant | string;
  /** False lets messages overtake each other. */
  ordered?: boolean;
  /** Repeats of a lost message at most; messages may get lost then. */
  maxRetransmits?: number;
  /** Milliseconds in which a lost message is repeated, instead of `maxRetransmits`. */
  maxPacketLifeTime?: number;
}

/** A data channel that somebody else opened. */
export interface ReceivedChannel {
  readonly channel: RTCDataChannel;
  /** Undefined when who opened it has left meanwhile. */
  readonly from: RemoteParticipant | undefined;
  readonly fromPeerId: string;
  /** For us alone, and for our answers. */
  readonly direct: boolean;
}

interface Waiting {
  label: string;
  init: RTCDataChannelInit;
  resolve(channel: RTCDataChannel): void;
  reject(error: ClientError): void;
}

/** Opens data channels as soon as there is a media session for them, in the one after a reconnect if need be. */
export class Channels {
  readonly #waiting = new Set<Waiting>();
  readonly #received = new Set<ReceivedChannel>();
  #open: ((label: string, init: RTCDataChannelInit) => RTCDataChannel) | undefined;

  /** Channels of others that are open. */
  get received(): readonly ReceivedChannel[] {
    return [...this.#received];
  }

  /** Takes in a channel that the server opened to us; its `protocol` field says for whom. */
  receive(channel: RTCDataChannel, find: (peerId: string) => RemoteParticipant | undefined): ReceivedChannel {
    const words = new URLSearchParams(channel.protocol);
    const fromPeerId = words.get('from') ?? '';
    const received = { channel, from: find(fromPeerId), fromPeerId, direct: words.has('to') };
    this.#received.add(received);
    channel.addEventListener('close', () => this.#received.delete(received), { once: true });
    return received;
  }

  /** Resolves when the channel is open. */
  open(label: string, options: ChannelOptions): Promise<RTCDataChannel> {
    return new Promise((resolve, reject) => {
      const waiting = { label, init: initOf(options), resolve, reject };
      this.#waiting.add(waiting);
      this.#start(waiting);
    });
  }

  /** There is a media session; what waits is opened in it. */
  use(open: (label: string, init: RTCDataChannelInit) => RTCDataChannel): void {
    this.#open = open;
    for (const waiting of [...this.#waiting]) this.#start(waiting);
  }

  /** The media session is gone, with the channels in it. */
  pause(): void {
    this.#open = undefined;
    this.#received.clear();
  }

  /** Nothing will be opened any more. */
  end(reason: ClientError): void {
    this.pause();
    for (const waiting of this.#waiting) waiting.reject(reason);
    this.#waiting.clear();
  }

  #start(waiting: Waiting): void {
    const open = this.#open;
    if (!open) return;
    const settle = (run: () => void) => {
      if (this.#open === open && this.#waiting.delete(waiting)) run();
    };
    let channel: RTCDataChannel;
    try {
      channel = open(waiting.label, waiting.init);
    } catch (thrown) {
      const message = `the channel cannot be opened: ${describeError(thrown)}`;
      settle(() => waiting.reject(new ClientError('invalid_argument', message, { cause: thrown })));
      return;
    }
    channel.addEventListener('open', () => settle(() => waiting.resolve(channel)), { once: true });
    const refused = () =>
      settle(() => waiting.reject(new ClientError('not_allowed', 'the server closed the channel before it was open')));
    channel.addEventListener('close', refused, { once: true });
  }
}

/** The `protocol` field repeats how the channel delivers: the server cannot see it otherwise. */
function initOf({ to, ordered, maxRetransmits, maxPacketLifeTime }: ChannelOptions): RTCDataChannelInit {
  const delivery: RTCDataChannelInit = {};
  if (ordered === false) delivery.ordered = false;
  if (maxRetransmits !== undefined) delivery.maxRetransmits = maxRetransmits;
  if (maxPacketLifeTime !== undefined) delivery.maxPacketLifeTime = maxPacketLifeTime;
  const words = new URLSearchParams();
  if (to !== undefined) words.set('to', typeof to === 'object' ? to.peerId : to);
  for (const [word, value] of Object.entries(delivery)) words.set(word, String(value));
  return { ...delivery, protocol: words.toString() };
}
