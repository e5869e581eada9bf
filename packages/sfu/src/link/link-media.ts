import { Bundle, CARRIER } from '../rtc/bundle.ts';
import { type ChannelInit, RtcChannel } from '../rtc/channel.ts';
import { RtcConnection, type RtcConnectionOptions } from '../rtc/connection.ts';
import type { UplinkMedia } from '../rtc/sections.ts';
import type { RtcTrack } from '../rtc/track.ts';

/** Opened with the connection, so that it has a data m-line; it carries nothing. */
const FIRST_CHANNEL = 'link';

export interface LinkMediaEvents {
  /** A copy of a channel that somebody there opened; its protocol field says who (`from`). */
  onChannel: (channel: RtcChannel) => void;
  /** The connection is lost for good. */
  onEnd: () => void;
  onFault: (thrown: unknown) => void;
}

/**
 * The PeerConnection of a link: host candidates on WireGuard addresses, one m-line, described once. Which tracks it
 * carries is a matter of the link's own frames: every stream is known by its SSRC.
 */
export class LinkMedia {
  readonly #connection: RtcConnection;
  readonly #bundle: Bundle;
  readonly #onFault: (thrown: unknown) => void;

  constructor(options: RtcConnectionOptions, events: LinkMediaEvents) {
    this.#onFault = events.onFault;
    this.#connection = new RtcConnection(options, {
      onState: (state) => {
        if (state === 'failed' || state === 'disconnected' || state === 'closed') events.onEnd();
      },
      onChannel: (channel) => {
        if (channel.protocol !== '') events.onChannel(channel);
      },
      onFault: events.onFault,
    });
    this.#bundle = new Bundle(this.#connection.sendTrack(CARRIER), () => {});
  }

  /** Our description, by whoever opened the link. */
  offer(): string {
    this.#connection.openChannel(new RtcChannel(FIRST_CHANNEL, '', () => {}), { ordered: true });
    return this.#connection.createLocal('offer');
  }

  /** @throws Error when the offer cannot be used */
  answer(offer: string): string {
    this.#connection.setRemote('offer', offer);
    return this.#connection.createLocal('answer');
  }

  /** @throws Error when the answer cannot be used */
  conclude(answer: string): void {
    this.#connection.setRemote('answer', answer);
  }

  /** Opens a copy of a channel to the other end. */
  openChannel(label: string, init: ChannelInit): RtcChannel {
    const channel = new RtcChannel(label, init.protocol, this.#onFault);
    this.#connection.openChannel(channel, init);
    return channel;
  }

  /** A track that we send under `ssrcs`. */
  send(trackId: string, kind: 'audio' | 'video', ssrcs: readonly number[]): RtcTrack {
    return this.#bundle.send(trackId, kind, ssrcs);
  }

  /** We send it no longer. */
  retract(trackId: string, ssrcs: readonly number[]): void {
    this.#bundle.retract(trackId, ssrcs);
  }

  /** A track that the other end sends under `ssrcs`. */
  listen(trackId: string, media: UplinkMedia, ssrcs: readonly number[]): RtcTrack {
    this.#bundle.listen(trackId, media, ssrcs);
    return this.#bundle.track(trackId) as RtcTrack;
  }

  /** The other end sends it no longer. */
  ignore(trackId: string): void {
    this.#bundle.ignore(trackId);
  }

  /** Idempotent. */
  close(): void {
    this.#bundle.close();
    this.#connection.close();
  }
}
