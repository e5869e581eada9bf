import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { ClientFrame, ServerFrame } from '@orama/protocol';
import { type NativeTrack, RtcChannel, RtcConnection } from '@orama/sfu/rtc';
import type { WebSocket } from 'ws';
import type { Session } from '../corpus.ts';
import { openSocket } from '../server.ts';
import { RECORDED_ADDRESS, type Sent, sessionOf } from './recording.ts';

const OWN_ADDRESS = '127.86.1.4';
/** What ffmpeg sends: a picture in H.265, which no browser here encodes, and a tone. */
const STREAMS = [
  {
    mid: 'v0',
    kind: 'video',
    ...{ ssrc: 265_265, port: 41_000 },
    codec: { name: 'H265', payloadType: 104, fmtp: 'level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST' },
    input: ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=20'],
    encoder: ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'keyint=20:bframes=0', '-b:v', '500k'],
  },
  {
    mid: 'a0',
    kind: 'audio',
    ...{ ssrc: 111_111, port: 41_002 },
    codec: { name: 'opus', payloadType: 111, fmtp: 'minptime=10;useinbandfec=1' },
    input: ['-re', '-f', 'lavfi', '-i', 'sine=frequency=440'],
    encoder: ['-c:a', 'libopus', '-b:a', '32k'],
  },
] as const;

/** A client of libdatachannel; what it sends, ffmpeg encoded. */
export class NativeTalker {
  readonly #sent: Sent = { offers: [], answers: [], candidates: [] };
  readonly #socket: WebSocket;
  readonly #connection: RtcConnection;
  readonly #open: (() => void)[] = [];
  #peerId = '';

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    const onFault = (thrown: unknown) => {
      throw thrown;
    };
    this.#connection = new RtcConnection({ name: 'talker', address: OWN_ADDRESS }, { onFault });
    this.#connection.openChannel(new RtcChannel('talk', '', onFault), { ordered: true });
    socket.on('message', (data) => this.#follow(JSON.parse(String(data)) as ServerFrame));
  }

  /** Joins, and publishes or only listens. */
  static async start(room: string, publishes: boolean): Promise<NativeTalker> {
    const socket = openSocket(RECORDED_ADDRESS, { room });
    await once(socket, 'open');
    const talker = new NativeTalker(socket);
    talker.#send({ type: 'join' });
    await once(socket, 'message');
    if (publishes) for (const stream of STREAMS) talker.#publish(stream);
    const sdp = talker.#connection.createLocal('offer');
    talker.#sent.offers.push(sdp);
    talker.#send({ type: 'offer', sdp });
    return talker;
  }

  end(): Promise<Session> {
    for (const close of this.#open) close();
    this.#connection.close();
    this.#socket.close();
    return Promise.resolve(sessionOf(this.#peerId, this.#sent));
  }

  #publish({ mid, kind, ssrc, port, codec, input, encoder }: (typeof STREAMS)[number]): void {
    const names = { cname: 'talker', streamId: 'talker', trackId: mid };
    const track = this.#connection.sendTrack({ mid, kind, ssrcs: [ssrc], ...names, codec });
    const rtp = ['-ssrc', String(ssrc), '-payload_type', String(codec.payloadType), '-f', 'rtp'];
    const url = `rtp://${OWN_ADDRESS}:${port}?rtcpport=${port}&pkt_size=1200`;
    const socket = relayTo(track, port);
    let encoding: ChildProcess | undefined;
    track.whenOpen(() => {
      encoding = spawn('ffmpeg', [...input, ...encoder, ...rtp, url], { stdio: 'ignore' });
    });
    this.#open.push(() => {
      encoding?.kill('SIGKILL');
      socket.close();
    });
  }

  #follow(frame: ServerFrame): void {
    switch (frame.type) {
      case 'error':
        throw new Error(`${frame.code}: ${frame.message}`);
      case 'welcome':
        this.#peerId = frame.peerId;
        break;
      case 'answer':
        this.#connection.setRemote('answer', frame.sdp);
        for (const { candidate, mid } of this.#connection.localCandidates()) {
          this.#sent.candidates.push(candidate);
          this.#send({ type: 'ice-candidate', candidate, sdpMid: mid });
        }
        break;
      case 'ice-candidate':
        this.#connection.addCandidate(frame.candidate, frame.sdpMid ?? '');
        break;
      case 'offer': {
        // One that crosses ours is made again.
        if (!this.#connection.isStable) break;
        this.#connection.setRemote('offer', frame.sdp);
        const sdp = this.#connection.createLocal('answer');
        this.#sent.answers.push(sdp);
        this.#send({ type: 'answer', sdp });
      }
    }
  }

  #send(frame: ClientFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }
}

/** Hands over to `track` what comes to a port of ours. */
function relayTo(track: NativeTrack, port: number): Socket {
  const socket = createSocket('udp4');
  socket.on('message', (packet) => void (track.isOpen && track.send(packet)));
  socket.bind(port, OWN_ADDRESS);
  return socket;
}
