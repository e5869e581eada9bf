/** Most spatial layers of one stream: VP9 names up to 8 (RFC 9628 section 4.2). */
export const MAX_SPATIAL_LAYERS = 8;
/** Most decode targets a dependency structure can have (AV1 RTP payload format, appendix A.8.4). */
export const MAX_DECODE_TARGETS = 32;

/**
 * What forwarding needs to know of one packet's payload. One object is filled again for every packet, so that reading allocates
 * nothing. Numbers that a packet does not carry are -1, their offsets 0. Offsets count from the start of the packet.
 */
export class PayloadView {
  /** First packet of a picture that decodes without earlier ones. */
  startsKeyFrame = false;
  /** First packet of a picture, or of one spatial layer of it. */
  startsFrame = false;
  /** Last packet of a picture, or of one spatial layer of it. */
  endsFrame = false;
  /** VP8 and VP9: where the codec's own bytes begin, behind the payload descriptor; 0 where that is cut off. */
  dataAt = 0;
  spatialId = 0;
  temporalId = 0;
  /** No other picture refers to this one. */
  discardable = false;
  /** Of its own and higher temporal layers the picture needs no earlier one (VP8's Y bit, H.265's TSA and STSA): its layer may begin here. */
  beginsTemporal = false;
  /** Pictures of higher temporal layers than its own need none before this one (VP9's U bit): they may begin after it. */
  opensHigherTemporal = false;

  /** VP8 and VP9: of `pictureIdBits` bits, 7 or 15. */
  pictureId = -1;
  pictureIdBits = 0;
  pictureIdAt = 0;
  /** VP8 and VP9: counts pictures of temporal layer 0, 8 bits. */
  tl0PicIdx = -1;
  tl0PicIdxAt = 0;
  /** VP8: key frame index, the low 5 bits of the byte at its offset. */
  keyIdx = -1;
  keyIdxAt = 0;

  /** Dependency descriptor: 16 bits. */
  frameNumber = -1;
  frameNumberAt = 0;
  /** Dependency descriptor: how many decode targets there are, 0 without one; then what the frame is to each (`DECODE_TARGET`). */
  decodeTargets = 0;
  readonly indications = new Uint8Array(MAX_DECODE_TARGETS);
  /** Dependency descriptor: the highest layers of every decode target. */
  readonly targetSpatialIds = new Uint8Array(MAX_DECODE_TARGETS);
  readonly targetTemporalIds = new Uint8Array(MAX_DECODE_TARGETS);
  /** Dependency descriptor: for every decode target a bit for each that needs none but its frames, itself among them. */
  targetsWithin = new Uint32Array(MAX_DECODE_TARGETS);
  /** Dependency descriptor: a bit for every decode target that the encoder produces now, the first one lowest. */
  activeDecodeTargets = 0;

  /** How many spatial layers the packet tells the sizes of, mostly 0; their pixels follow, from the lowest up. */
  spatialLayers = 0;
  readonly widths = new Uint16Array(MAX_SPATIAL_LAYERS);
  readonly heights = new Uint16Array(MAX_SPATIAL_LAYERS);

  /** Forgets the last packet. */
  reset(): void {
    this.startsKeyFrame = this.startsFrame = this.endsFrame = false;
    this.dataAt = this.spatialId = this.temporalId = 0;
    this.discardable = this.beginsTemporal = this.opensHigherTemporal = false;
    this.pictureId = this.tl0PicIdx = this.keyIdx = this.frameNumber = -1;
    this.pictureIdBits = this.pictureIdAt = this.tl0PicIdxAt = this.keyIdxAt = this.frameNumberAt = 0;
    this.decodeTargets = this.activeDecodeTargets = this.spatialLayers = 0;
  }

  /** Notes the size of a stream with one spatial layer; sizes no stream can have are left out. */
  setSize(width: number, height: number): void {
    if (width < 1 || height < 1 || width > 0xffff || height > 0xffff) return;
    this.spatialLayers = 1;
    this.widths[0] = width;
    this.heights[0] = height;
  }
}

/** What a frame is to a decode target (AV1 RTP payload format, appendix A.4). */
export const DECODE_TARGET = { notPresent: 0, discardable: 1, switch: 2, required: 3 } as const;
