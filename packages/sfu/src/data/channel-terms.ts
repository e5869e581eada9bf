import { CHANNEL_LABEL_MAX_BYTES } from '@orama/protocol';
import type { ChannelReliability } from '../rtc/channel.ts';

const PROTOCOL_MAX_LENGTH = 256;
const UINT16_MAX = 0xffff;

/**
 * What the `protocol` field of a data channel says, in the form of a URL's query (RFC 8832 leaves its content to us, and
 * every client can set and read it). libdatachannel does not tell how a channel that a peer opened delivers, so the
 * opener says it here.
 */
export interface ChannelTerms extends ChannelReliability {
  /** The only peer it is for; without it, everybody else in the room. */
  to?: string;
}

/** Reads what an opener wrote; null when it is malformed. Words we do not know are not ours to judge. */
export function readChannelTerms(protocol: string): ChannelTerms | null {
  if (protocol.length > PROTOCOL_MAX_LENGTH) return null;
  const words = new URLSearchParams(protocol);
  const to = words.get('to');
  const ordered = words.get('ordered') ?? 'true';
  const maxRetransmits = readUint16(words.get('maxRetransmits'));
  const maxPacketLifeTime = readUint16(words.get('maxPacketLifeTime'));
  if (to === '' || (ordered !== 'true' && ordered !== 'false')) return null;
  if (maxRetransmits === null || maxPacketLifeTime === null) return null;
  // RFC 8832 section 5.1: one or the other.
  if (maxRetransmits !== undefined && maxPacketLifeTime !== undefined) return null;
  return {
    ordered: ordered === 'true',
    ...(to === null ? {} : { to }),
    ...(maxRetransmits === undefined ? {} : { maxRetransmits }),
    ...(maxPacketLifeTime === undefined ? {} : { maxPacketLifeTime }),
  };
}

/** What a receiver reads: who opened the channel, whether it is for the receiver alone, and how it delivers. */
export function writeChannelProtocol(from: string, terms: ChannelTerms): string {
  const words = new URLSearchParams({ from });
  if (terms.to !== undefined) words.set('to', terms.to);
  if (!terms.ordered) words.set('ordered', 'false');
  if (terms.maxRetransmits !== undefined) words.set('maxRetransmits', String(terms.maxRetransmits));
  if (terms.maxPacketLifeTime !== undefined) words.set('maxPacketLifeTime', String(terms.maxPacketLifeTime));
  return words.toString();
}

/** Whether every message arrives as long as the channel lives. */
export function isReliable({ maxRetransmits, maxPacketLifeTime }: ChannelReliability): boolean {
  return maxRetransmits === undefined && maxPacketLifeTime === undefined;
}

/** A channel in a message for people; its label is a stranger's text. */
export function nameOf(label: string): string {
  return `data channel ${JSON.stringify(label.slice(0, CHANNEL_LABEL_MAX_BYTES))}`;
}

function readUint16(text: string | null): number | null | undefined {
  if (text === null) return undefined;
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return value <= UINT16_MAX ? value : null;
}
