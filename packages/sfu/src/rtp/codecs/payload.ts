import type { RtpView } from '../header.ts';
import { keyFrameTestOf } from './key-frame.ts';

/**
 * Reads a packet's payload into `view`: everything from `startsKeyFrame` to `height`, each field, every time.
 * Total: whatever the payload is, it neither throws nor looks outside the packet. Allocates nothing.
 * @param view as read by `readRtp` and `renumberExtensions`
 */
export type PayloadReader = (packet: Uint8Array, view: RtpView) => void;

/** The reader for a codec name as in SDP. */
export function payloadReaderOf(codec: string): PayloadReader {
  const startsKeyFrame = keyFrameTestOf(codec);
  return (packet, view) => {
    view.startsKeyFrame = startsKeyFrame(packet, view.payloadStart, view.payloadEnd);
    view.startsFrame = view.startsKeyFrame;
    view.endsFrame = view.marker;
    view.spatialId = view.temporalId = 0;
    view.switchesUp = view.discardable = false;
    view.pictureId = view.tl0PictureIndex = view.keyIndex = -1;
    view.pictureIdAt = view.tl0PictureIndexAt = view.keyIndexAt = 0;
    view.width = view.height = 0;
  };
}
