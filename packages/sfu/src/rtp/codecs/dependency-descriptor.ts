import { readUint16 } from '../header.ts';
import { BitReader } from './bits.ts';
import { DependencyStructure, everyTarget } from './dependency-structure.ts';
import type { PayloadView } from './payload.ts';

const MANDATORY_BYTES = 3;
const TEMPLATE_IDS = 64;

const bits = new BitReader();

/** Reads the dependency descriptors (AV1 RTP payload format, appendix A) of one RTP stream, which build on its last structure. */
export class DependencyDescriptors {
  #structure = new DependencyStructure();
  /** What a new structure is read into: a malformed one leaves the old one in force. */
  #spare = new DependencyStructure();
  #activeDecodeTargets = 0;

  /**
   * Adds to `payload`, which holds what the codec tells, what the descriptor tells; it knows better.
   * @param start offset of the extension's data in the packet
   * @returns false when the descriptor is malformed or its structure is not known: then nothing was added
   */
  read(packet: Uint8Array, start: number, end: number, payload: PayloadView): boolean {
    if (start + MANDATORY_BYTES > end || end > packet.length) return false;
    const first = packet[start] as number;
    let bringsStructure = false;
    let ownIndications = false;
    let active = this.#activeDecodeTargets;
    bits.load(packet, start + MANDATORY_BYTES, end);
    if (start + MANDATORY_BYTES < end) {
      bringsStructure = bits.flag();
      const bringsActive = bits.flag();
      ownIndications = bits.flag();
      bits.skip(2); // own references and chains, which come last
      if (bringsStructure) {
        if (!this.#spare.read(bits)) return false;
        active = everyTarget(this.#spare.targets);
      }
      const { targets } = bringsStructure ? this.#spare : this.#structure;
      if (bringsActive) active = bits.read(targets);
    }
    const structure = bringsStructure ? this.#spare : this.#structure;
    const template = ((first & 63) + TEMPLATE_IDS - structure.templateIdOffset) % TEMPLATE_IDS;
    if (template >= structure.templates) return false;
    const { targets } = structure;
    const indications = template * targets;
    for (let i = 0; i < targets; i++) {
      payload.indications[i] = ownIndications ? bits.read(2) : (structure.indications[indications + i] as number);
      payload.targetSpatialIds[i] = structure.targetSpatialIds[i] as number;
      payload.targetTemporalIds[i] = structure.targetTemporalIds[i] as number;
    }
    if (bits.overrun) return false;
    if (bringsStructure) {
      this.#spare = this.#structure;
      this.#structure = structure;
    }
    this.#activeDecodeTargets = active;
    payload.decodeTargets = targets;
    payload.activeDecodeTargets = active;
    payload.targetsWithin = structure.targetsWithin;
    this.#readFrame(packet, start, template, payload);
    payload.startsKeyFrame = bringsStructure && payload.startsFrame;
    if (bringsStructure && structure.sizes) {
      payload.spatialLayers = structure.spatialLayers;
      payload.widths.set(structure.widths);
      payload.heights.set(structure.heights);
    }
    return true;
  }

  /** Reads one again that went before: its frame, by the structure of now; what it says of others is old. */
  readAgain(packet: Uint8Array, start: number, end: number, payload: PayloadView): void {
    if (start + MANDATORY_BYTES > end || end > packet.length) return;
    const { templateIdOffset } = this.#structure;
    const template = (((packet[start] as number) & 63) + TEMPLATE_IDS - templateIdOffset) % TEMPLATE_IDS;
    this.#readFrame(packet, start, template, payload);
  }

  #readFrame(packet: Uint8Array, start: number, template: number, payload: PayloadView): void {
    const first = packet[start] as number;
    payload.startsFrame = (first & 0x80) !== 0;
    payload.endsFrame = (first & 0x40) !== 0;
    payload.spatialId = this.#structure.spatialIds[template] as number;
    payload.temporalId = this.#structure.temporalIds[template] as number;
    payload.frameNumber = readUint16(packet, start + 1);
    payload.frameNumberAt = start + 1;
  }
}
