import { describe, expect, test } from 'vitest';
import { Participants } from './participants.ts';

function observed() {
  const log: string[] = [];
  const participants = new Participants((change) => {
    log.push(`${change.type} ${'track' in change ? change.track.trackId : change.participant.peerId}`);
  });
  return { log, participants, take: () => log.splice(0) };
}

/** Stands for media: only its identity matters here. */
const media = (id: string) => ({ id }) as MediaStreamTrack;
const announcement = (trackId: string, mid: string) =>
  ({ type: 'track-added', peerId: 'ada', trackId, mid, kind: 'video', source: 'camera', muted: false }) as const;

describe('Participants', () => {
  test('reports a track once both its announcement and its media are there, whichever comes first', () => {
    for (const mediaFirst of [true, false]) {
      const { participants, take } = observed();
      const received = new Map<string, MediaStreamTrack>();
      const bind = () => participants.bind((mid) => received.get(mid));
      participants.receive({ type: 'peer-joined', peerId: 'ada' });
      const steps = [() => received.set('s1', media('m')), () => participants.receive(announcement('t1', 's1'))];
      for (const step of mediaFirst ? steps : steps.reverse()) {
        expect(take()).not.toContain('track-added t1');
        step();
        bind();
      }
      expect(take()).toContain('track-added t1');
      bind();
      expect(take()).toEqual([]);
    }
  });

  test('takes an m-line for a new track only after the old one on it is gone', () => {
    const { participants, take } = observed();
    participants.receive(announcement('t1', 's1'));
    participants.bind(() => media('m'));
    participants.receive({ type: 'track-removed', peerId: 'ada', trackId: 't1', kind: 'video' });
    participants.receive(announcement('t2', 's1'));
    participants.bind(() => media('m'));
    expect(take()).toEqual(['participant-joined ada', 'track-added t1', 'track-removed t1', 'track-added t2']);
  });

  test('tells of a track whose delivery, codec or layers changed, and keeps how it went', () => {
    const { participants, take } = observed();
    participants.receive(announcement('t1', 's1'));
    participants.bind(() => media('m'));
    take();
    const layers = [{ rid: 'q' }, { rid: 'f', width: 1280, height: 720 }];
    const updated = { ...announcement('t1', 's1'), type: 'track-updated', codec: 'VP8', layers } as const;
    participants.receive({ ...updated, delivery: 'no-bandwidth' });
    participants.receive({ ...updated });
    expect(take()).toEqual(['track-updated t1']);
    expect(participants.track('t1')).toMatchObject({ delivery: 'no-bandwidth', codec: 'VP8', layers });
    const sent = { trackId: 't1', delivery: 'flowing', layer: 1, bitrate: 900_000, loss: 0.01 } as const;
    const unknown = { ...sent, trackId: 't9' };
    const quality = participants.measure({ type: 'quality', availableBitrate: 2e6, tracks: [sent, unknown] });
    expect(quality).toMatchObject({ availableBitrateBps: 2e6, rttMs: undefined, tracks: [{ trackId: 't1' }] });
    expect(participants.track('t1')?.quality).toEqual({ layer: 1, bitrateBps: 900_000, loss: 0.01 });
    expect(take()).toEqual(['track-updated t1']);
  });

  test('a leaving participant takes their tracks along, in that order', () => {
    const { participants, take } = observed();
    participants.receive(announcement('t1', 's1'));
    participants.bind(() => media('m'));
    take();
    participants.receive({ type: 'peer-left', peerId: 'ada', reason: 'left' });
    expect(take()).toEqual(['track-removed t1', 'participant-left ada']);
    expect(participants.all.size).toBe(0);
  });

  test('replace() after a resume reports the difference only and keeps the media', () => {
    const { participants, take } = observed();
    const track = { trackId: 't1', kind: 'video', muted: false } as const;
    participants.replace(
      [
        { peerId: 'ada', tracks: [track] },
        { peerId: 'bob', tracks: [] },
      ],
      'left',
    );
    participants.receive(announcement('t1', 's1'));
    participants.bind(() => media('m'));
    take();
    participants.replace(
      [
        { peerId: 'ada', tracks: [{ ...track, muted: true }] },
        { peerId: 'eve', tracks: [] },
      ],
      'left',
    );
    expect(take()).toEqual(['participant-left bob', 'track-updated t1', 'participant-joined eve']);
    expect(participants.track('t1')?.mediaStreamTrack?.id).toBe('m');
  });

  test('an update of a track that is already gone brings nobody back', () => {
    const { participants, take } = observed();
    const { mid: _, ...update } = announcement('t1', 's1');
    participants.receive({ ...update, type: 'track-updated' });
    expect(take()).toEqual([]);
  });

  test('a change of name or metadata is reported, also one that a resume finds', () => {
    const { participants, take } = observed();
    participants.receive({ type: 'peer-joined', peerId: 'ada', name: 'Ada' });
    take();
    const raised = { peerId: 'ada', name: 'Ada', metadata: { hand: 'raised' } };
    participants.receive({ type: 'peer-updated', ...raised });
    expect(participants.all.get('ada')?.metadata).toEqual({ hand: 'raised' });
    participants.receive({ type: 'peer-updated', ...raised });
    participants.receive({ type: 'peer-updated', peerId: 'nobody', name: 'N' });
    expect(take()).toEqual(['participant-updated ada']);
    participants.replace([{ peerId: 'ada', name: 'Ada L.', tracks: [] }], 'left');
    expect(take()).toEqual(['participant-updated ada']);
  });
});
