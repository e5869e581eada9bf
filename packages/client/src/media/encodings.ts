/** How a video track is encoded: see PublishOptions. */
export interface EncodingOptions {
  simulcast: boolean;
  scalabilityMode: string | undefined;
  maxBitrateBps: number | undefined;
}

/** A picture of fewer pixels is worth one layer only, of fewer than four times as many two. */
const TWO_LAYERS_PIXELS = 480 * 270;
const THREE_LAYERS_PIXELS = 4 * TWO_LAYERS_PIXELS;
/** From the smallest up: a quarter, half and full size each way. */
const RIDS = ['q', 'h', 'f'] as const;
/** What the layer below gets of a layer's bit rate: a quarter of the pixels are harder to compress. */
const BITRATE_RATIO = 0.3;
const LEAST_BITRATE_BPS = 100_000;
/** Three frame rates in every layer; a browser that has none for the codec leaves it aside. */
const LAYER_SCALABILITY = 'L1T3';

/** As in the W3C's webrtc-svc, which TypeScript's declarations lack. */
export interface TrackEncoding extends RTCRtpEncodingParameters {
  scalabilityMode?: string;
}

/** Encodings of a video track for `addTransceiver`, from the smallest picture up (RFC 8853). */
export function videoEncodings(
  { width, height }: Pick<MediaTrackSettings, 'width' | 'height'>,
  { simulcast, scalabilityMode, maxBitrateBps }: EncodingOptions,
): TrackEncoding[] {
  const limit = maxBitrateBps === undefined ? {} : { maxBitrate: maxBitrateBps };
  if (scalabilityMode !== undefined) return [{ ...limit, scalabilityMode }];
  // Firefox does not tell the size of some sources; a browser leaves out layers that would be too small.
  const pixels = width && height ? width * height : THREE_LAYERS_PIXELS;
  const count = !simulcast || pixels < TWO_LAYERS_PIXELS ? 1 : pixels < THREE_LAYERS_PIXELS ? 2 : 3;
  if (count === 1) return [limit];
  return RIDS.slice(-count).map((rid, index) => {
    const halvings = count - 1 - index;
    return {
      rid,
      scaleResolutionDownBy: 2 ** halvings,
      scalabilityMode: LAYER_SCALABILITY,
      ...(maxBitrateBps === undefined ? {} : { maxBitrate: bitrateOf(maxBitrateBps, halvings) }),
    };
  });
}

function bitrateOf(maxBitrateBps: number, halvings: number): number {
  const share = Math.round(maxBitrateBps * BITRATE_RATIO ** halvings);
  return halvings === 0 ? maxBitrateBps : Math.max(LEAST_BITRATE_BPS, share);
}

/** The names of the layers; empty without simulcast. */
export function ridsOf(encodings: readonly RTCRtpEncodingParameters[]): string[] {
  return encodings.flatMap(({ rid }) => (rid === undefined ? [] : [rid]));
}
