import { DECODE_TARGET, type PayloadView } from './payload.ts';

/**
 * Whether a subscriber that gets these layers needs the packet.
 * @param spatial highest spatial layer inside the stream; of a simulcast stream 0
 * @param temporal highest temporal layer
 */
export function isWanted(payload: PayloadView, spatial: number, temporal: number): boolean {
  const target = decodeTargetOf(payload, spatial, temporal);
  if (target >= 0) return payload.indications[target] !== DECODE_TARGET.notPresent;
  return payload.spatialId <= spatial && payload.temporalId <= temporal;
}

/** A bit for every decode target that the encoder produces now and that a subscriber to these layers gets all frames of. */
export function targetsSent(payload: PayloadView, spatial: number, temporal: number): number {
  const target = decodeTargetOf(payload, spatial, temporal);
  if (target < 0) return payload.activeDecodeTargets;
  return (payload.activeDecodeTargets & (payload.targetsWithin[target] as number)) >>> 0;
}

/**
 * The highest temporal layer a subscriber may be sent from this packet on: down at every beginning of a frame, up where
 * nothing that was left out is needed any more. Spatial layers change at `startsKeyFrame` only.
 * @param current what it has been sent so far
 * @param wanted what it should be sent
 */
export function temporalFrom(payload: PayloadView, spatial: number, current: number, wanted: number): number {
  if (wanted === current || !payload.startsFrame) return current;
  if (wanted < current || payload.startsKeyFrame) return wanted;
  const target = decodeTargetOf(payload, spatial, wanted);
  if (target >= 0) return payload.indications[target] === DECODE_TARGET.switch ? wanted : current;
  if (payload.opensHigherTemporal && payload.temporalId <= current) return wanted;
  return payload.beginsTemporal && payload.temporalId === current + 1 ? current + 1 : current;
}

/** Index of the highest decode target up to these layers that the encoder produces now, -1 without one. */
function decodeTargetOf(payload: PayloadView, spatial: number, temporal: number): number {
  let best = -1;
  let bestLayers = -1;
  for (let i = 0; i < payload.decodeTargets; i++) {
    const ofSpatial = payload.targetSpatialIds[i] as number;
    const ofTemporal = payload.targetTemporalIds[i] as number;
    if (((payload.activeDecodeTargets >>> i) & 1) === 0 || ofSpatial > spatial || ofTemporal > temporal) continue;
    const layers = ofSpatial * 256 + ofTemporal;
    if (layers <= bestLayers) continue;
    best = i;
    bestLayers = layers;
  }
  return best;
}
