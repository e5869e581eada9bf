import type { LayerOption } from '../congestion/allocate.ts';
import type { Encoding } from './encoding.ts';

/**
 * What can be sent of a publication, from the least to the best: every simulcast encoding, sent now or not, or the spatial
 * layers of the only one, each with its temporal layers. Empty until something came.
 */
export function layerOptionsOf(encodings: readonly Encoding[]): LayerOption[] {
  const [only] = encodings;
  if (!only || !encodings.some(({ lastPacketMs }) => lastPacketMs > 0)) return [];
  if (encodings.length > 1)
    return encodings.flatMap((encoding) => optionsOf(encoding, encoding.index, encoding.layers.spatial, encoding));
  const options: LayerOption[] = [];
  for (let spatial = 0; spatial <= only.layers.spatial; spatial++)
    options.push(...optionsOf(only, spatial, spatial, only.sizes[spatial] ?? only));
  return options;
}

function optionsOf(
  encoding: Encoding,
  spatial: number,
  inside: number,
  { width, height }: { width: number; height: number },
): LayerOption[] {
  const { layers } = encoding;
  return Array.from({ length: layers.temporal + 1 }, (_, temporal) => ({
    spatial,
    temporal,
    bitrateBps: encoding.expectedBps(inside, temporal),
    ...(width > 0 ? { width, height } : {}),
    ...fpsOf(layers.fps(inside, temporal)),
  }));
}

function fpsOf(fps: number): { fps?: number } {
  return fps > 0 ? { fps } : {};
}
