import { Gauge, Histogram, type Registry } from '@orama/core/metrics';
import type { ChannelCounters } from './data/channel-counters.ts';
import type { MediaCounters } from './media/counters.ts';
import type { Rooms } from './room/rooms.ts';
import type { PortBudget } from './rtc/port-budget.ts';
import type { StunFront } from './rtc/stun-front.ts';
import type { WorkerReport } from './worker/worker-handle.ts';

/** Registers what one SFU process shows. Values are read when asked for, so that packets pay nothing. */
export function registerMetrics(
  registry: Registry,
  rooms: Rooms,
  counters: MediaCounters,
  channels: ChannelCounters,
  ports: PortBudget,
  front: StunFront,
  report: () => WorkerReport,
): void {
  const gauge = (name: string, help: string, read: () => number) => {
    new Gauge({
      name: `orama_sfu_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  gauge('rooms', 'Rooms with at least one peer', () => rooms.roomCount);
  gauge('peers', 'Peers in all rooms', () => rooms.peerCount);
  gauge('links', 'Connections to other SFUs of the same rooms', () => rooms.linkCount);
  gauge('published_tracks', 'Tracks published in all rooms', () => rooms.trackCount);
  gauge('media_ports_used', 'Media ports in use', () => ports.used);
  gauge('media_ports_capacity', 'Media ports that may be used', () => ports.capacity);
  gauge('front_peers', 'Peers whose media comes through the STUN front', () => front.servedCount);
  gauge('workers', 'Processes that hold rooms', () => 1);
  gauge('workers_busy', 'Processes that turn new peers away', () => Number(report().busy));
  gauge(
    'event_loop_delay_p99_seconds',
    'Lateness of the event loop in the last second',
    () => report().eventLoop.delayP99Sec,
  );
  gauge(
    'event_loop_utilization',
    'Share of its time that the event loop was busy',
    () => report().eventLoop.utilization,
  );
  gauge('packets_in_total', 'RTP packets received', () => counters.packetsIn);
  gauge('bytes_in_total', 'RTP bytes received', () => counters.bytesIn);
  gauge('packets_out_total', 'RTP packets sent', () => counters.packetsOut);
  gauge('bytes_out_total', 'RTP bytes sent', () => counters.bytesOut);
  gauge('send_failures_total', 'RTP packets that could not be sent', () => counters.sendFailures);
  gauge('malformed_packets_total', 'Packets that are not RTP', () => counters.malformed);
  gauge('retransmitted_packets_total', 'Packets sent again to subscribers', () => counters.retransmitted);
  gauge('nacked_packets_in_total', 'Packets subscribers asked for', () => counters.nacksIn);
  gauge('nacked_packets_out_total', 'Packets asked from publishers', () => counters.nacksOut);
  gauge('key_frame_requests_in_total', 'Key frames subscribers asked for', () => counters.keyFrameRequestsIn);
  gauge('key_frame_requests_out_total', 'Key frames asked from publishers', () => counters.keyFrameRequestsOut);
  gauge('data_channels', 'Data channels that peers have open', () => channels.opened);
  gauge('data_channel_legs', 'Copies of data channels to their receivers', () => channels.legs);
  gauge('data_messages_in_total', 'Data channel messages received', () => channels.messagesIn);
  gauge('data_bytes_in_total', 'Bytes of data channel messages received', () => channels.bytesIn);
  gauge('data_messages_out_total', 'Data channel messages sent on', () => channels.messagesOut);
  gauge('data_bytes_out_total', 'Bytes of data channel messages sent on', () => channels.bytesOut);
  gauge('data_messages_dropped_total', 'Data channel messages that a limit kept back', () => channels.dropped);
  gauge(
    'data_channels_refused_total',
    'Data channels, or copies of one, refused or ended by a limit',
    () => channels.refused,
  );
  gauge('paused_tracks', 'Tracks not sent to a subscriber because its path has no room', () => rooms.pausedTrackCount);
  gauge('probes_total', 'Attempts to find more bandwidth to a subscriber', () => counters.probes);
  gauge('probes_succeeded_total', 'Attempts that found more bandwidth', () => counters.probesSucceeded);
  gauge('padding_bytes_out_total', 'RTP bytes sent only to find more bandwidth', () => counters.paddingBytesOut);
  new Histogram({
    name: 'orama_sfu_available_bitrate_bits',
    help: 'What the paths to the peers take at this moment, in bit/s, as far as it is known',
    buckets: [100_000, 300_000, 600_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000],
    registers: [registry],
    collect() {
      this.reset();
      for (const peer of rooms.peers()) if (peer.availableBps !== null) this.observe(peer.availableBps);
    },
  });
}
