import { execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { rtpPacket } from './test-peer.ts';

const run = promisify(execFile);
const ADDRESS = '127.65.82.1';
const PICTURES = ['-f', 'lavfi', '-i', 'testsrc=size=320x180:rate=15'];
const TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
/** As small as those of browsers, so that pictures come in several. */
const PACKET_BYTES = 1_100;

const ENCODERS: Readonly<Record<string, string[]>> = {
  opus: [...TONE, '-c:a', 'libopus', '-ac', '2'],
  VP8: [...PICTURES, '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8'],
  VP9: [...PICTURES, '-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8'],
  H264: [
    ...[...PICTURES, '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency'],
    ...['-crf', '12'],
  ],
  H265: [
    ...[...PICTURES, '-pix_fmt', 'yuv420p', '-c:v', 'libx265', '-preset', 'ultrafast', '-tune', 'zerolatency'],
    ...['-x265-params', 'log-level=none'],
  ],
  AV1: [...PICTURES, '-c:v', 'libaom-av1', '-usage', 'realtime', '-cpu-used', '8'],
};

/** The RTP packets of two seconds of sound or of a test picture of 320 by 180, as ffmpeg encodes it. @param codec as in SDP */
export function encodedMedia(codec: string): Promise<Buffer[]> {
  const encode = ['-v', 'error', ...(ENCODERS[codec] as string[]), '-t', '2'];
  return codec === 'AV1' ? encodedAv1(encode) : sentByFfmpeg(encode);
}

/** What ffprobe says of a file with all of its frames decoded. */
export async function decoded(file: string): Promise<{ codec: string; frames: number; seconds: number }> {
  const { stdout } = await run('ffprobe', [
    ...['-v', 'fatal', '-count_frames', '-show_entries', 'stream=codec_name,nb_read_frames:format=duration'],
    ...['-of', 'json', file],
  ]);
  const { streams, format } = JSON.parse(stdout) as {
    streams: { codec_name: string; nb_read_frames: string }[];
    format: { duration: string };
  };
  const [stream] = streams;
  return {
    codec: stream?.codec_name ?? '',
    frames: Number(stream?.nb_read_frames),
    seconds: Number(format.duration),
  };
}

async function sentByFfmpeg(encode: readonly string[]): Promise<Buffer[]> {
  const socket = createSocket('udp4').bind(0, ADDRESS);
  await once(socket, 'listening');
  const packets: Buffer[] = [];
  const end = new Promise<void>((resolve) => {
    socket.on('message', (packet) => {
      if (packet.length === 1) resolve();
      else packets.push(packet);
    });
  });
  const { port } = socket.address();
  const target = `rtp://${ADDRESS}:${port}?pkt_size=${PACKET_BYTES}&localaddr=${ADDRESS}`;
  const ffmpeg = spawn('ffmpeg', [...encode, '-strict', 'experimental', '-f', 'rtp', target], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await once(ffmpeg, 'exit');
  // Behind all that is still in the socket.
  socket.send(Buffer.alloc(1), port, ADDRESS);
  await end;
  socket.close();
  return packets;
}

const SEQUENCE_HEADER = 1;
const TEMPORAL_DELIMITER = 2;
const HAS_SIZE = 2;

/** By the AV1 RTP payload format, section 4: one unit or a part of one in each packet, without temporal delimiters. */
async function encodedAv1(encode: readonly string[]): Promise<Buffer[]> {
  const { stdout } = await run('ffmpeg', [...encode, '-f', 'obu', '-'], { encoding: 'buffer', maxBuffer: 1 << 24 });
  const packets: Buffer[] = [];
  let timestamp = -6_000;
  for (const unit of unitsOf(stdout)) {
    const type = ((unit[0] as number) >> 3) & 15;
    if (type === TEMPORAL_DELIMITER) {
      timestamp += 6_000;
      const last = packets.at(-1);
      if (last) last[1] = (last[1] as number) | 0x80;
      continue;
    }
    for (let at = 0; at < unit.length; at += PACKET_BYTES) {
      const part = unit.subarray(at, at + PACKET_BYTES);
      const continues = at > 0 ? 0x80 : 0;
      const goesOn = at + part.length < unit.length ? 0x40 : 0;
      const header = continues | goesOn | 0x10 | (type === SEQUENCE_HEADER ? 0x08 : 0);
      const payload = Buffer.concat([Buffer.from([header]), part]);
      packets.push(
        rtpPacket({ payloadType: 45, ssrc: 45, sequence: packets.length, timestamp, marker: false, payload }),
      );
    }
  }
  const last = packets.at(-1);
  if (last) last[1] = (last[1] as number) | 0x80;
  return packets;
}

/** Open bitstream units without their sizes (AV1 bitstream, section 5.3). */
function* unitsOf(stream: Buffer): Generator<Buffer> {
  for (let at = 0; at < stream.length; ) {
    const header = stream[at] as number;
    let size = 0;
    let next = at + 1;
    for (let shift = 0; ; shift += 7) {
      const byte = stream[next++] as number;
      size |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    yield Buffer.concat([Buffer.from([header & ~HAS_SIZE]), stream.subarray(next, next + size)]);
    at = next + size;
  }
}
