import { DECODE_TARGET, type PayloadView } from './payload.ts';

/**
 * Whether a subscriber that gets these layers needs the packet.
 * @param spatial highest spatial layer inside the stream; of a simulcast stream 0
 * @param temporal highest temporal layer
 */
export function isWanted(payload: PayloadView, spatial: number, temporal: number): boolean {
  const target = decodeTargetOf(payload, spatial, temporal);
  if (target >= 0) return payload.indications[target] !== DECODE_TARGET.notPresent;
  if (payload.spatialId > spatial || payload.temporalId > temporal) return false;
  return payload.spatialId === spatial || !payload.notForHigherSpatial;
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

/** Index of the decode target of exactly these layers, -1 without one. */
function decodeTargetOf(payload: PayloadView, spatial: number, temporal: number): number {
  for (let i = 0; i < payload.decodeTargets; i++)
    if (payload.targetSpatialIds[i] === spatial && payload.targetTemporalIds[i] === temporal) return i;
  return -1;
}
