import { describe, expect, test } from 'vitest';
import { JSON_MAX_DEPTH, MAX_PARTICIPANTS_LIMIT, MAX_SPEAKERS_LIMIT } from '../limits.ts';
import { roomIdSchema } from '../names.ts';
import { createRoomSchema } from '../rest/rooms.ts';
import { clientFrameSchema } from './frames.ts';

const text = (length: number) => 'x'.repeat(length);
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
const layers = (count: number) => Array.from({ length: count }, (_, i) => ({ rid: `r${i}` }));
const tracks = (count: number) => Array.from({ length: count }, (_, i) => ({ mid: `${i}` }));

/** A frame that is just within a limit, and the same frame just beyond it. */
const EDGES: [what: string, within: object, beyond: object][] = [
  ['a name of 128 characters', { type: 'join', name: text(128) }, { type: 'join', name: text(129) }],
  ['a resume token of 256', { type: 'join', resume: text(256) }, { type: 'join', resume: text(257) }],
  [
    'metadata nested 32 deep',
    { type: 'join', metadata: { a: nested(JSON_MAX_DEPTH - 1) } },
    { type: 'join', metadata: { a: nested(JSON_MAX_DEPTH) } },
  ],
  [
    'data nested 32 deep',
    { type: 'data', data: nested(JSON_MAX_DEPTH) },
    { type: 'data', data: nested(JSON_MAX_DEPTH + 1) },
  ],
  [
    'a candidate of 1024 characters',
    { type: 'ice-candidate', candidate: text(1024) },
    { type: 'ice-candidate', candidate: text(1025) },
  ],
  [
    'an m-line index of 1024',
    { type: 'ice-candidate', candidate: '', sdpMLineIndex: 1024 },
    { type: 'ice-candidate', candidate: '', sdpMLineIndex: 1025 },
  ],
  [
    '64 tracks described in an offer',
    { type: 'offer', sdp: '', tracks: tracks(64) },
    { type: 'offer', sdp: '', tracks: tracks(65) },
  ],
  [
    'a source word of 32 characters',
    { type: 'offer', sdp: '', tracks: [{ mid: '0', source: text(32) }] },
    { type: 'offer', sdp: '', tracks: [{ mid: '0', source: text(33) }] },
  ],
  [
    'a track id of 64 characters',
    { type: 'track-state', trackId: text(64), muted: true },
    { type: 'track-state', trackId: text(65), muted: true },
  ],
  [
    'layer 8 at most',
    { type: 'subscribe', trackId: 't', enabled: true, maxLayer: 8 },
    { type: 'subscribe', trackId: 't', enabled: true, maxLayer: 9 },
  ],
  [
    '240 frames a second',
    { type: 'subscribe', trackId: 't', enabled: true, maxFps: 240 },
    { type: 'subscribe', trackId: 't', enabled: true, maxFps: 241 },
  ],
  [
    'a priority of 255',
    { type: 'subscribe', trackId: 't', enabled: true, priority: 255 },
    { type: 'subscribe', trackId: 't', enabled: true, priority: 256 },
  ],
  [
    'four layers',
    { type: 'track-layers', mid: '0', layers: layers(4) },
    { type: 'track-layers', mid: '0', layers: layers(5) },
  ],
  ['a ping id of 64 characters', { type: 'ping', id: text(64) }, { type: 'ping', id: text(65) }],
];

describe('clientFrameSchema', () => {
  test.each(EDGES)('takes %s and no more', (_what, within, beyond) => {
    expect(clientFrameSchema.safeParse(within).success).toBe(true);
    expect(clientFrameSchema.safeParse(beyond).success).toBe(false);
  });
});

test.each(['x', text(128), '!', '~', 'a/b?c#d%'])('roomIdSchema takes %j', (id) => {
  expect(roomIdSchema.safeParse(id).success).toBe(true);
});

test.each(['', text(129), 'a b', '\u007f', '\u001f', 'é', 'a\n'])('roomIdSchema refuses %j', (id) => {
  expect(roomIdSchema.safeParse(id).success).toBe(false);
});

test.each([
  ['max_participants', MAX_PARTICIPANTS_LIMIT],
  ['max_speakers', MAX_SPEAKERS_LIMIT],
])('createRoomSchema takes %s from 1 to %i', (field, limit) => {
  const isTaken = (value: number) => createRoomSchema.safeParse({ room_id: 'r', [field]: value }).success;
  expect([0, 1, limit, limit + 1].map(isTaken)).toEqual([false, true, true, false]);
});
