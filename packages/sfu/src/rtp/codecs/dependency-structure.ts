import type { BitReader } from './bits.ts';
import { DECODE_TARGET, MAX_DECODE_TARGETS, MAX_SPATIAL_LAYERS } from './payload.ts';

/** Template ids have 6 bits. */
const MAX_TEMPLATES = 64;
/** What follows a template in the list of layers (AV1 RTP payload format, appendix A.8.2). */
const NEXT = { sameLayer: 0, temporalLayer: 1, spatialLayer: 2, end: 3 } as const;

/** A template dependency structure: the kinds of frames a stream is made of, and what they are to its decode targets. */
export class DependencyStructure {
  /** Template id of the first template. */
  templateIdOffset = 0;
  /** How many there are; 0 before the first structure came. */
  templates = 0;
  readonly spatialIds = new Uint8Array(MAX_TEMPLATES);
  readonly temporalIds = new Uint8Array(MAX_TEMPLATES);
  /** How many decode targets there are. */
  targets = 0;
  /** `DECODE_TARGET`, for every template as many as there are targets. */
  readonly indications = new Uint8Array(MAX_TEMPLATES * MAX_DECODE_TARGETS);
  readonly targetSpatialIds = new Uint8Array(MAX_DECODE_TARGETS);
  readonly targetTemporalIds = new Uint8Array(MAX_DECODE_TARGETS);
  /** For every decode target a bit for each that needs none but its frames, itself among them. */
  readonly targetsWithin = new Uint32Array(MAX_DECODE_TARGETS);
  spatialLayers = 0;
  /** Whether it tells the sizes of the spatial layers. */
  sizes = false;
  readonly widths = new Uint16Array(MAX_SPATIAL_LAYERS);
  readonly heights = new Uint16Array(MAX_SPATIAL_LAYERS);

  /** Reads `template_dependency_structure()` (appendix A.8.2). False when it is malformed: then it must not be used. */
  read(bits: BitReader): boolean {
    this.templateIdOffset = bits.read(6);
    this.targets = bits.read(5) + 1;
    if (!this.#readLayers(bits)) return false;
    const indications = this.templates * this.targets;
    for (let i = 0; i < indications; i++) this.indications[i] = bits.read(2);
    for (let i = 0; i < this.templates; i++) while (bits.flag() && !bits.overrun) bits.skip(4);
    this.#skipChains(bits);
    if (bits.overrun) return false;
    this.#findTargetLayers();
    this.#findTargetsWithin();
    this.sizes = bits.flag();
    for (let i = 0; this.sizes && i < this.spatialLayers; i++) {
      this.widths[i] = bits.read(16) + 1;
      this.heights[i] = bits.read(16) + 1;
    }
    return !bits.overrun;
  }

  #readLayers(bits: BitReader): boolean {
    let spatialId = 0;
    let temporalId = 0;
    this.templates = 0;
    for (let next: number = NEXT.sameLayer; next !== NEXT.end; next = bits.read(2)) {
      if (next === NEXT.temporalLayer) temporalId++;
      else if (next === NEXT.spatialLayer) {
        temporalId = 0;
        spatialId++;
      }
      if (this.templates === MAX_TEMPLATES || spatialId >= MAX_SPATIAL_LAYERS || bits.overrun) return false;
      this.spatialIds[this.templates] = spatialId;
      this.temporalIds[this.templates++] = temporalId;
    }
    this.spatialLayers = spatialId + 1;
    return true;
  }

  #skipChains(bits: BitReader): void {
    const chains = bits.nonSymmetric(this.targets + 1);
    if (chains === 0) return;
    for (let i = 0; i < this.targets; i++) bits.nonSymmetric(chains);
    bits.skip(4 * this.templates * chains);
  }

  /** A decode target is of the highest layers that any of its templates is of. */
  #findTargetLayers(): void {
    for (let target = 0; target < this.targets; target++) {
      let spatialId = 0;
      let temporalId = 0;
      for (let i = 0; i < this.templates; i++) {
        if (this.#indication(i, target) === DECODE_TARGET.notPresent) continue;
        spatialId = Math.max(spatialId, this.spatialIds[i] as number);
        temporalId = Math.max(temporalId, this.temporalIds[i] as number);
      }
      this.targetSpatialIds[target] = spatialId;
      this.targetTemporalIds[target] = temporalId;
    }
  }

  /** A target is within another unless there are frames that only it needs. */
  #findTargetsWithin(): void {
    const { targets, targetsWithin } = this;
    targetsWithin.fill(everyTarget(targets), 0, targets);
    for (let i = 0; i < this.templates; i++) {
      let needing = 0;
      for (let target = 0; target < targets; target++)
        if (this.#indication(i, target) !== DECODE_TARGET.notPresent) needing |= 1 << target;
      for (let target = 0; target < targets; target++)
        if (((needing >>> target) & 1) === 0) targetsWithin[target] = (targetsWithin[target] as number) & ~needing;
    }
  }

  #indication(template: number, target: number): number {
    return this.indications[template * this.targets + target] as number;
  }
}

/** A bit for each of so many decode targets. */
export function everyTarget(targets: number): number {
  return 0xffffffff >>> (32 - targets);
}
