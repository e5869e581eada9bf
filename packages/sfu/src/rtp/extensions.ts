import type { RtpView } from './header.ts';

const ONE_BYTE_PROFILE = 0xbede;

/** Header extensions that mean something to us, by URI. */
export const EXTENSION = {
  audioLevel: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  mid: 'urn:ietf:params:rtp-hdrext:sdes:mid',
  transportSequence: 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  videoOrientation: 'urn:3gpp:video-orientation',
} as const;

/**
 * Ids under which forwarded extensions leave the SFU, the same towards every subscriber, so that a packet is rewritten
 * once and not once per subscriber. They are the ids browsers use themselves. In a bundle one id must mean one thing
 * (RFC 9143 section 15): an uplink extension that claims one of these ids for something else is not accepted.
 */
export const FORWARDED_EXTENSION_IDS: Readonly<Record<string, number>> = {
  [EXTENSION.audioLevel]: 1,
  [EXTENSION.videoOrientation]: 13,
};

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
 * Gives every extension element the id `ids[id]`, in place; 0 blanks the element to padding.
 * @param ids indexed by the incoming id; 256 entries
 */
export function renumberExtensions(packet: Uint8Array, view: RtpView, ids: Uint8Array): void {
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
    else packet[offset] = oneByte ? (renumbered << 4) | (head & 15) : renumbered;
    offset = next;
  }
}
