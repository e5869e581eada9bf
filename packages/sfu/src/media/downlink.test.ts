import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import type { RtcTrack } from '../rtc/track.ts';
import { RtpView } from '../rtp/header.ts';
import { MediaCounters } from './counters.ts';
import { Downlink, SENT } from './downlink.ts';

test('Downlink numbers the packets of all tracks of a peer in one row, and stamps when they leave', () => {
  const counters = new MediaCounters();
  const downlink = new Downlink(counters, new VirtualClock());
  const sent: number[][] = [];
  const track = (isOpen: boolean) =>
    ({
      send: (packet: Buffer) => isOpen && sent.push([...packet]) > 0,
      extensionIds: null,
    }) as unknown as RtcTrack;
  const camera = track(true);
  const microphone = track(true);
  const packet = Buffer.alloc(8);
  const view = new RtpView();
  view.transportSequenceAt = 1;
  view.sendTimeAt = 4;
  expect(downlink.send(camera, packet, view, SENT.media, 1_500)).toBe(true);
  view.sendTimeAt = 0;
  downlink.send(microphone, packet.fill(0), view, SENT.retransmission, 1_501);
  view.transportSequenceAt = 0;
  downlink.send(camera, packet.fill(0), view, SENT.media, 1_502);
  expect(sent).toEqual([
    // 1.5 s with 18 bits behind the point.
    [0, 0, 0, 0, 0x06, 0x00, 0x00, 0],
    [0, 0, 1, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0],
  ]);
  expect(downlink.send(track(false), packet, view, SENT.media, 1_503)).toBe(false);
  expect(counters).toMatchObject({ packetsOut: 3, bytesOut: 24, sendFailures: 1 });
});
