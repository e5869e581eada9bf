import type { ServerFrameOf } from '@orama/protocol';
import type { Subscription } from './subscription.ts';

/** What a `quality` frame says of one track. */
export function qualityOf(subscription: Subscription): ServerFrameOf<'quality'>['tracks'][number] {
  const { layer, publication, delivery, bitrateBps, loss } = subscription;
  return {
    trackId: publication.trackId,
    delivery,
    ...(layer && publication.kind === 'video' ? { layer: layer.spatial } : {}),
    bitrate: Math.round(bitrateBps),
    loss,
  };
}
