import { type RtpView, readRtp, readUint16 } from './header.ts';

const ONE_BYTE_PROFILE = 0xbede;

/** Header extensions that mean something to us, by URI. */
export const EXTENSION = {
  audioLevel: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  sendTime: 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  transportSequence: 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  mid: 'urn:ietf:params:rtp-hdrext:sdes:mid',
  playoutDelay: 'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay',
  rid: 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
  repairedRid: 'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
  dependencyDescriptor: 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension',
  videoOrientation: 'urn:3gpp:video-orientation',
} as const;

/** The numbers of `FORWARDED_EXTENSION_IDS` by name. */
const ID = {
  audioLevel: 1,
  sendTime: 2,
  transportSequence: 3,
  playoutDelay: 5,
  dependencyDescriptor: 12,
  videoOrientation: 13,
} as const;

/**
 * Ids under which forwarded extensions leave the SFU, the same towards every subscriber, so that a packet is rewritten
 * once and not once per subscriber. They are the ids Chromium uses itself. In a bundle one id must mean one thing
 * (RFC 9143 section 15): an uplink extension that claims one of these ids for something else is not accepted.
 */
export const FORWARDED_EXTENSION_IDS: Readonly<Record<string, number>> = {
  [EXTENSION.audioLevel]: ID.audioLevel,
  [EXTENSION.sendTime]: ID.sendTime,
  [EXTENSION.transportSequence]: ID.transportSequence,
  [EXTENSION.playoutDelay]: ID.playoutDelay,
  [EXTENSION.dependencyDescriptor]: ID.dependencyDescriptor,
  [EXTENSION.videoOrientation]: ID.videoOrientation,
};

/** The id that the transport-wide sequence number is forwarded under. */
export const TRANSPORT_SEQUENCE_ID = ID.transportSequence;

/** A bit for every forwarded id that `ids`, by forwarded id, changes or leaves out. */
export function changedIds(ids: Uint8Array): number {
  let bits = 0;
  for (const id of Object.values(ID)) if (ids[id] !== id) bits |= 1 << id;
  return bits;
}

/** For `renumberExtensions`: elements whose ids are the forwarded ones already. */
export const SAME_IDS: Uint8Array = Uint8Array.from({ length: 256 }, (_, id) => id);

/** Offset of the data of extension `id`, or -1. RFC 8285 sections 4.2 and 4.3. */
export function findExtension(packet: Uint8Array, view: RtpView, id: number): number {
  const oneByte = view.extensionProfile === ONE_BYTE_PROFILE;
  if (!oneByte && view.extensionProfile >> 4 !== 0x100) return -1;
  const end = view.extensionEnd;
  let offset = view.extensionStart;
  while (offset < end) {
    const head = packet[offset] as number;
    if (head === 0) {
      offset++;
      continue;
    }
    const elementId = oneByte ? head >> 4 : head;
    if (oneByte && elementId === 15) return -1;
    const data = offset + (oneByte ? 1 : 2);
    const next = data + (oneByte ? (head & 15) + 1 : ((packet[offset + 1] as number | undefined) ?? 0));
    if (next > end) return -1;
    if (elementId === id) return data;
    offset = next;
  }
  return -1;
}

/**
 * Gives every extension element the id `ids[id]`, in place, and notes in `view` where those stand that are read or
 * written on the way (see FORWARDED_EXTENSION_IDS). An element whose new id is 0 is blanked to padding.
 * @param view as read from `packet`
 * @param ids indexed by the incoming id; 256 entries
 */
export function renumberExtensions(packet: Uint8Array, view: RtpView, ids: Uint8Array): void {
  if (view.extensionStart === view.extensionEnd) return;
  const oneByte = view.extensionProfile === ONE_BYTE_PROFILE;
  if (!oneByte && view.extensionProfile >> 4 !== 0x100) {
    packet.fill(0, view.extensionStart, view.extensionEnd);
    return;
  }
  const end = view.extensionEnd;
  let offset = view.extensionStart;
  while (offset < end) {
    const head = packet[offset] as number;
    if (head === 0) {
      offset++;
      continue;
    }
    const id = oneByte ? head >> 4 : head;
    const data = offset + (oneByte ? 1 : 2);
    const next = data + (oneByte ? (head & 15) + 1 : ((packet[offset + 1] as number | undefined) ?? 0));
    if (next > end || (oneByte && id === 15)) {
      packet.fill(0, offset, end);
      return;
    }
    const renumbered = ids[id] as number;
    if (renumbered === 0) for (let i = offset; i < next; i++) packet[i] = 0;
    else {
      packet[offset] = oneByte ? (renumbered << 4) | (head & 15) : renumbered;
      noteElement(packet, view, renumbered, data, next - data);
    }
    offset = next;
  }
}

/** Reads a packet that went through `renumberExtensions` before. */
export function readForwarded(packet: Uint8Array, view: RtpView): boolean {
  if (!readRtp(packet, view)) return false;
  renumberExtensions(packet, view, SAME_IDS);
  return true;
}

function noteElement(packet: Uint8Array, view: RtpView, id: number, at: number, bytes: number): void {
  view.elements |= 1 << id;
  if (id === ID.transportSequence && bytes >= 2) {
    view.transportSequenceAt = at;
    view.transportSequence = readUint16(packet, at);
  } else if (id === ID.sendTime && bytes === 3) {
    view.sendTimeAt = at;
  } else if (id === ID.audioLevel && bytes >= 1) {
    const level = packet[at] as number;
    view.audioLevel = level & 127;
    view.voice = level >= 128;
  } else if (id === ID.dependencyDescriptor) {
    view.dependencyAt = at;
    view.dependencyBytes = bytes;
  }
}
