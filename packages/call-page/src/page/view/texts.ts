import { ClientError, type OutboundLayerStats, type RemoteTrack } from '@orama/client';

/** An error in words for the person in front of the page. */
export function explainError(thrown: unknown): string {
  if (!(thrown instanceof ClientError)) return thrown instanceof Error ? thrown.message : String(thrown);
  switch (thrown.code) {
    case 'bad_credential':
      return 'The server does not accept this API key. It may be mistyped, expired or revoked.';
    case 'not_allowed':
      return 'This API key may not join or send here.';
    case 'webrtc_not_enabled':
      return 'Calls are not enabled for this namespace. Its operator can run: orama namespace enable webrtc';
    case 'no_such_room':
      return `There is no such room, or it is full. ${thrown.message}`;
    case 'room_full':
      return 'The room is full. Try again when somebody has left.';
    case 'room_closed':
      return 'The room was closed by its owner.';
    case 'kicked':
      return `You were removed from the room: ${thrown.message}`;
    case 'rate_limited':
      return 'Too many attempts. Wait a moment, then try again.';
    case 'unreachable':
    case 'timeout':
      return 'The server cannot be reached. Check the network, then try again.';
    case 'sfu_unavailable':
    case 'moved':
      return 'No media server is ready for this room. Try again in a moment.';
    case 'media_failed':
      return `No media gets through: ${thrown.message}. ${thrown.hint ?? ''}`;
    case 'reconnect_failed':
      return `The call could not be restored. ${thrown.cause instanceof ClientError ? explainError(thrown.cause) : ''}`;
    default:
      return thrown.hint ? `${thrown.message} (${thrown.hint})` : thrown.message;
  }
}

/** `640×360 · 25 fps · 612 kbit/s · 3 ms`; what is not known is left out. */
export function statsLine(stats: {
  width?: number | undefined;
  height?: number | undefined;
  framesPerSecond?: number | undefined;
  bitrateBps?: number | undefined;
  rttMs?: number | undefined;
}): string {
  const { width, height, framesPerSecond, bitrateBps, rttMs } = stats;
  return [
    width && height ? `${width}×${height}` : '',
    framesPerSecond === undefined ? '' : `${Math.round(framesPerSecond)} fps`,
    bitrateBps === undefined ? '' : formatBitrate(bitrateBps),
    rttMs === undefined ? '' : `${Math.max(1, Math.round(rttMs))} ms`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** Why the server sends nothing of a track. */
const PAUSED: Readonly<Partial<Record<RemoteTrack['delivery'], string>>> = {
  'no-bandwidth': 'paused: the network is too slow',
  disabled: 'paused: not in view',
  'unsupported-codec': 'this browser cannot play it',
  'not-a-speaker': 'quiet',
};

/** The line of a received track: its numbers and its layer, or why there is nothing to see. */
export function trackLine(
  { delivery, layers, quality }: Pick<RemoteTrack, 'delivery' | 'layers' | 'quality'>,
  numbers: string,
): string {
  const paused = PAUSED[delivery];
  if (paused) return paused;
  const layer =
    layers.length > 1 && quality?.layer !== undefined ? `layer ${quality.layer + 1} of ${layers.length}` : '';
  return [numbers, layer].filter(Boolean).join(' · ');
}

/** The line of one's own picture: its numbers and how many of its layers somebody watches. */
export function sentLine(numbers: string, layers: readonly Pick<OutboundLayerStats, 'active'>[]): string {
  const active = layers.filter(({ active }) => active).length;
  const watched = layers.length > 1 ? `${active} of ${layers.length} layers` : '';
  return [numbers, watched].filter(Boolean).join(' · ');
}

function formatBitrate(bps: number): string {
  return bps >= 1_000_000 ? `${(bps / 1_000_000).toFixed(1)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`;
}

/** Up to two letters for a picture-less tile. */
export function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return (
    letters
      .map((word) => [...(word ?? '')][0] ?? '')
      .join('')
      .toUpperCase() || '?'
  );
}
