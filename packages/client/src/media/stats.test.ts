import { describe, expect, test } from 'vitest';
import { StatsReader, type StreamOwners } from './stats.ts';

const OWNERS: StreamOwners = {
  inbound: (mid) => (mid === 's1' ? { trackId: 't1', peerId: 'ada' } : undefined),
  outbound: (mid) => (mid === '0' ? { trackId: 'own', source: 'camera' } : undefined),
};

function report(atMs: number, bytes: number, extra: Record<string, unknown>[] = []): [string, unknown][] {
  const entries: Record<string, unknown>[] = [
    {
      id: 'in',
      type: 'inbound-rtp',
      kind: 'video',
      mid: 's1',
      bytesReceived: bytes,
      frameWidth: 640,
      frameHeight: 360,
      framesDecoded: 90,
      framesPerSecond: 24,
    },
    { id: 'other', type: 'inbound-rtp', kind: 'video', mid: 's9', bytesReceived: 1 },
    { id: 'out', type: 'outbound-rtp', kind: 'video', mid: '0', bytesSent: 2 * bytes, remoteId: 'remote' },
    { id: 'remote', type: 'remote-inbound-rtp', roundTripTime: 0.0123, packetsLost: 3 },
    { id: 'l', type: 'local-candidate', candidateType: 'relay', relayProtocol: 'udp', address: '127.85.0.1', port: 9 },
    { id: 'r', type: 'remote-candidate', candidateType: 'host', address: 'fd00::1', port: 20000 },
    ...extra,
  ];
  return entries.map((entry) => [String(entry.id), { timestamp: atMs, ...entry }]);
}

const PAIR = {
  id: 'p',
  type: 'candidate-pair',
  localCandidateId: 'l',
  remoteCandidateId: 'r',
  currentRoundTripTime: 0.004,
};

describe('StatsReader', () => {
  test('tells bit rates from one reading to the next, and keeps them for readers close together', () => {
    const reader = new StatsReader();
    const rates = [
      [0, 0],
      [1000, 50_000],
      [1100, 51_000],
      [2000, 150_000],
    ].map(([atMs = 0, bytes = 0]) => reader.read(report(atMs, bytes), OWNERS).inbound[0]?.bitrateBps);
    expect(rates).toEqual([0, 400_000, 400_000, 800_000]);
  });

  test('names the owner of each stream and leaves out streams of nobody', () => {
    const { inbound, outbound } = new StatsReader().read(report(0, 0), OWNERS);
    expect(inbound).toMatchObject([{ peerId: 'ada', trackId: 't1', width: 640, height: 360, framesDecoded: 90 }]);
    expect(outbound).toMatchObject([{ trackId: 'own', source: 'camera', rttMs: 12.3, packetsLost: 3 }]);
  });

  test.each([
    ['the transport names (Chromium)', [PAIR, { id: 'T', type: 'transport', selectedCandidatePairId: 'p' }]],
    ['is marked as selected (Firefox)', [{ ...PAIR, selected: true }]],
  ])('finds the pair that %s', (_, extra) => {
    expect(new StatsReader().read(report(0, 0, extra), OWNERS).pair).toMatchObject({
      localType: 'relay',
      protocol: 'udp',
      localAddress: '127.85.0.1:9',
      remoteAddress: '[fd00::1]:20000',
      rttMs: 4,
    });
  });

  test('tells the layers of a track one by one, and the track as all of them', () => {
    const layer = (rid: string, frameWidth: number, bytesSent: number, active = true) => ({
      ...{
        id: rid,
        type: 'outbound-rtp',
        kind: 'video',
        mid: '0',
        rid,
        frameWidth,
        bytesSent,
        active,
        framesEncoded: 9,
      },
    });
    const reader = new StatsReader();
    const read = (atMs: number, bytes: number) =>
      reader.read(
        [layer('f', 1280, 0, false), layer('q', 320, bytes), layer('h', 640, 3 * bytes)].map((entry) => [
          entry.id,
          { timestamp: atMs, ...entry },
        ]),
        OWNERS,
      );
    read(0, 0);
    const [sent, ...rest] = read(1_000, 12_500).outbound;
    expect(rest).toEqual([]);
    expect(sent).toMatchObject({ trackId: 'own', bitrateBps: 400_000, width: 640 });
    expect(sent?.layers.map(({ rid, active, bitrateBps }) => [rid, active, bitrateBps])).toEqual([
      ['q', true, 100_000],
      ['h', true, 300_000],
      ['f', false, 0],
    ]);
  });

  test('has no pair before one is selected', () => {
    expect(new StatsReader().read(report(0, 0, [PAIR]), OWNERS).pair).toBeUndefined();
  });
});
