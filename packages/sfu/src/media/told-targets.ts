import { mayTellTargets, withActiveTargets } from '../rtp/codecs/active-targets.ts';
import { targetsSent } from '../rtp/codecs/layers.ts';
import type { RtpView } from '../rtp/header.ts';

/**
 * Tells one subscriber of an AV1 stream which decode targets are active (AV1 RTP payload format, appendix A.4), as long as
 * it is not sent all that the publisher's own descriptors speak of: it would wait for the others.
 */
export class ToldTargets {
  /** Since the last structure others were told than the publisher does: so is every frame from then on. */
  #differ = false;
  #targets = 0;
  #active = 0;

  /**
   * What to send in place of a packet: itself, or a copy that the next one overwrites.
   * @param view of the packet, as the stream's PayloadReader filled it
   * @param spatial highest spatial layer inside the stream that is sent
   * @param temporal highest temporal layer that is sent
   * @param isWhole whether all there is is sent
   */
  tell(packet: Buffer, view: RtpView, spatial: number, temporal: number, isWhole: boolean): Buffer {
    const { payload } = view;
    if (payload.startsKeyFrame) this.#differ = false;
    if ((isWhole && !this.#differ) || payload.decodeTargets === 0 || !mayTellTargets(packet, view)) return packet;
    const active = isWhole ? payload.activeDecodeTargets : targetsSent(payload, spatial, temporal);
    if (active === payload.activeDecodeTargets && !this.#differ) return packet;
    this.#differ = true;
    this.#targets = payload.decodeTargets;
    this.#active = active;
    return withActiveTargets(packet, view, this.#targets, active);
  }

  /** The same for a packet that is repeated: what was told last. */
  tellAgain(packet: Buffer, view: RtpView): Buffer {
    if (!this.#differ || !mayTellTargets(packet, view)) return packet;
    return withActiveTargets(packet, view, this.#targets, this.#active);
  }
}
