import type { RtcTrack } from '../rtc/track.ts';
import { renumberExtensions } from '../rtp/extensions.ts';
import { RtpView } from '../rtp/header.ts';

/** The elements of one packet as they were; no UDP datagram is larger. */
const kept = Buffer.alloc(0x10000);
/** Where the peer's ids would be noted, whose numbers mean other elements to us. */
const unread = new RtpView();

/**
 * Sends a packet under the ids that the peer gave the header extensions, and leaves it as it was: others share it.
 * Allocates nothing.
 * @param view of the packet
 * @param ids by forwarded id; see RtcTrack
 */
export function sendTranslated(track: RtcTrack, packet: Buffer, view: RtpView, ids: Uint8Array): boolean {
  const { extensionStart, extensionEnd } = view;
  packet.copy(kept, 0, extensionStart, extensionEnd);
  unread.extensionProfile = view.extensionProfile;
  unread.extensionStart = extensionStart;
  unread.extensionEnd = extensionEnd;
  renumberExtensions(packet, unread, ids);
  const sent = track.send(packet);
  kept.copy(packet, extensionStart, 0, extensionEnd - extensionStart);
  return sent;
}
