import type { DropCounters, RelayPort } from '../../relay/relay.ts';
import {
  ATTRIBUTE,
  CREDENTIAL_ATTRIBUTES,
  isComprehensionRequired,
  MAGIC_COOKIE,
  padded,
  readXorAddress,
  STUN_HEADER_BYTES,
} from '../../stun/index.ts';

/** First sixteen bits of a Send indication. */
export const SEND_INDICATION_TYPE = 0x0016;

/** Comprehension-required types beside DONT-FRAGMENT; a second of a kind is ignored (RFC 8489 section 14). */
const UNDERSTOOD: ReadonlySet<number> = new Set([...CREDENTIAL_ATTRIBUTES, ATTRIBUTE.xorPeerAddress, ATTRIBUTE.data]);

/**
 * Send indication (RFC 8656 section 11.2). Many clients send media this way until their channel is bound, so it is
 * read in place, without building a message. Anything malformed or not understood is dropped and counted, and so is
 * DONT-FRAGMENT where the relay's sockets cannot set the DF bit.
 */
export function handleSend(packet: Buffer, port: RelayPort, drops: DropCounters): void {
  const end = STUN_HEADER_BYTES + packet.readUInt16BE(2);
  if (end !== packet.length || packet.readUInt32BE(4) !== MAGIC_COOKIE) {
    drops.malformed++;
    return;
  }
  let peer: number | string | undefined;
  let peerPort = 0;
  let dataStart = -1;
  let dataEnd = 0;
  let dontFragment = false;
  let sound = true;
  let position = STUN_HEADER_BYTES;
  while (sound && position + 4 <= end) {
    const type = packet.readUInt16BE(position);
    const length = packet.readUInt16BE(position + 2);
    const value = position + 4;
    position = value + padded(length);
    if (position > end) {
      sound = false;
    } else if (type === ATTRIBUTE.xorPeerAddress && peer === undefined) {
      if (length === 8 && packet[value + 1] === 0x01) {
        peerPort = packet.readUInt16BE(value + 2) ^ (MAGIC_COOKIE >>> 16);
        peer = (packet.readUInt32BE(value + 4) ^ MAGIC_COOKIE) >>> 0;
      } else {
        const address = readXorAddress(packet, value, length);
        peerPort = address?.port ?? 0;
        peer = address?.address;
        sound = address !== undefined;
      }
    } else if (type === ATTRIBUTE.data && dataStart < 0) {
      dataStart = value;
      dataEnd = value + length;
    } else if (type === ATTRIBUTE.dontFragment) {
      dontFragment = true;
    } else if (isComprehensionRequired(type) && !UNDERSTOOD.has(type)) {
      sound = false;
    }
  }
  if (!sound || position !== end || peer === undefined || dataStart < 0) drops.malformed++;
  else port.relaySend(peer, peerPort, packet.subarray(dataStart, dataEnd), dontFragment);
}
