import type { ClientFrame } from '@orama/protocol';
import { expect, test } from 'vitest';
import { LocalTracks } from './local-tracks.ts';

test('LocalTracks: who was muted by the owner is muted when that is lifted, and the server knows, until they unmute', () => {
  const sent: ClientFrame[] = [];
  const changes: boolean[] = [];
  const tracks = new LocalTracks({
    send: (frame) => sent.push(frame),
    onUpdated: ({ muted }, { forced }) => changes.push(muted, forced),
    onRemoved: () => {},
    onEnded: () => {},
  });
  const media = { kind: 'audio', enabled: true, addEventListener: () => {} };
  const { local } = tracks.add(media as unknown as MediaStreamTrack, {});
  const told = { peerId: 'p', trackId: 't', kind: 'audio', codec: 'opus' } as const;
  tracks.follow({ type: 'track-added', mid: '0', ...told, muted: false }, () => local);
  tracks.follow({ type: 'track-updated', ...told, muted: true, forced: true }, () => local);
  expect(sent).toEqual([{ type: 'track-state', trackId: 't', muted: true }]);
  tracks.follow({ type: 'track-updated', ...told, muted: true }, () => local);
  expect([local.muted, media.enabled]).toEqual([true, false]);
  tracks.setMuted(local, false);
  expect(sent.slice(1)).toEqual([{ type: 'track-state', trackId: 't', muted: false }]);
  expect(changes).toEqual([true, true, false, false]);
});
