import { VirtualClock } from '@orama/core';
import { ReceiveEstimator } from '../congestion/receive-estimator.ts';
import { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import { MediaCounters } from '../media/counters.ts';
import { Downlink } from '../media/downlink.ts';
import { Publication } from '../media/publication.ts';
import { Subscription, type SubscriptionOptions } from '../media/subscription.ts';
import { readUplink, type UplinkEncoding } from '../rtc/sections.ts';
import type { RtcTrack } from '../rtc/track.ts';
import { changedIds, EXTENSION } from '../rtp/extensions.ts';
import { isRtcp, RtpView, readRtp } from '../rtp/header.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import { rtpPacket } from './test-peer.ts';

/** A track that keeps what is sent on it: here the bytes matter, not the network. */
export class KeptTrack {
  readonly kind: 'audio' | 'video';
  readonly sent: Buffer[] = [];
  readonly isOpen = true;
  onPacket: ((packet: Buffer) => void) | null = null;
  extensionIds: Uint8Array | null = null;

  constructor(kind: 'audio' | 'video' = 'video') {
    this.kind = kind;
  }

  get changedIds(): number {
    return this.extensionIds ? changedIds(this.extensionIds) : 0;
  }

  send(packet: Buffer): boolean {
    this.sent.push(Buffer.from(packet));
    return true;
  }

  get rtp() {
    return this.sent
      .filter((packet) => !isRtcp(packet))
      .map((packet) => {
        const view = new RtpView();
        readRtp(packet, view);
        const { payloadType, marker, sequence, timestamp, ssrc } = view;
        const payload = packet.subarray(view.payloadStart, view.payloadEnd);
        return { payloadType, marker, sequence, timestamp, ssrc, payload };
      });
  }

  get rtcp() {
    return this.sent.filter(isRtcp).flatMap((packet) => parseRtcp(packet));
  }

  as(): RtcTrack {
    return this as unknown as RtcTrack;
  }
}

export const BED_SSRC = 50;

/** A video publication and subscriptions to it, without a connection. `encodings`: one without simulcast by default. */
export function mediaBed(encodings: UplinkEncoding[] = [{ ssrc: BED_SSRC }]) {
  const counters = new MediaCounters();
  const media = readUplink({
    type: 'video',
    port: 9,
    protocol: 'UDP/TLS/RTP/SAVPF',
    rtp: [
      { payload: 96, codec: 'VP8', rate: 90_000 },
      { payload: 97, codec: 'rtx', rate: 90_000 },
      { payload: 102, codec: 'H264', rate: 90_000 },
      { payload: 98, codec: 'VP9', rate: 90_000 },
      { payload: 45, codec: 'AV1', rate: 90_000 },
    ],
    fmtp: [{ payload: 97, config: 'apt=96' }],
    ext: [
      { value: 2, uri: EXTENSION.sendTime },
      { value: 3, uri: EXTENSION.transportSequence },
      { value: 12, uri: EXTENSION.dependencyDescriptor },
    ],
    rtcpFb: [
      { payload: 96, type: 'nack' },
      { payload: 96, type: 'nack', subtype: 'pli' },
    ],
  });
  if (!media) throw new Error('nothing to publish');
  const codecChanges: Publication[] = [];
  const demands: string[][] = [];
  const publication = new Publication({
    ...{ trackId: 't', peerId: 'p', mid: '0', source: 'camera', muted: false },
    ...{ media: { ...media, encodings }, arrivals: new ArrivalRecorder(), estimator: new ReceiveEstimator(), counters },
    onCodecChange: (changed) => codecChanges.push(changed),
    onDemand: (_publication, rids) => demands.push(rids),
  });
  const uplink = new KeptTrack();
  publication.attach(uplink.as());
  const subscribe = (
    payloadType = 96,
    firstSequence = 0,
    options: Partial<SubscriptionOptions> & { rtxPayloadType?: number; nack?: boolean; track?: KeptTrack } = {},
  ) => {
    const track = options.track ?? new KeptTrack();
    const subscription = new Subscription({
      ...{ publication, mid: 's0', ssrc: 9_000 + payloadType, cname: 'p', firstSequence },
      ...{ downlink: new Downlink(counters, new VirtualClock()), counters },
      ...options,
    });
    publication.addSink(subscription);
    const { rtxPayloadType: rtx, nack = true } = options;
    subscription.activate(track.as(), publication.codec, { media: payloadType, rtx, nack });
    return { track, subscription };
  };
  const receive = (sequence: number, payload: Buffer, fields: Partial<Parameters<typeof rtpPacket>[0]> = {}) =>
    publication.receive(
      rtpPacket({
        ...{ payloadType: 96, ssrc: BED_SSRC, sequence, timestamp: sequence * 10, marker: false, payload },
        ...fields,
      }),
    );
  return { publication, uplink, subscribe, receive, codecChanges, demands, counters };
}
