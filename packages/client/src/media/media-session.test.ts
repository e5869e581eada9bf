import { VirtualClock } from '@orama/core';
import type { ClientFrame } from '@orama/protocol';
import { expect, test } from 'vitest';
import type { ClientError } from '../errors.ts';
import type { Platform } from '../room/options.ts';
import { MediaSession } from './media-session.ts';

const UDP = 'turn:203.0.113.1:3478?transport=udp';
const TCP = 'turn:203.0.113.1:3478?transport=tcp';

/** What an RTCPeerConnection shows of its path, set by the test; its descriptions always fit. */
class PathOnlyConnection {
  static last: PathOnlyConnection;
  signalingState = 'stable';
  iceConnectionState = 'new';
  connectionState = 'new';
  remoteDescription: unknown = null;
  localDescription: { sdp: string } | null = null;
  oniceconnectionstatechange: (() => void) | null = null;
  restarts = 0;
  bytesReceived = 0;
  /** Packets of ours a second, and reports about them. */
  sending = 1;
  packetsSent = 0;
  reporting = 0;
  #reports = 0;
  #bytesSent = 0;
  servers: string[][] = [];
  channels: (RTCDataChannelInit & { label: string })[] = [];
  closed = false;
  /** One that receives pictures, and what it says of them. */
  receiver = { track: {}, jitterBufferTarget: null as number | null };
  pictures = { framesDecoded: 0, framesDropped: 0, nackCount: 0 };

  constructor(configuration: RTCConfiguration) {
    PathOnlyConnection.last = this;
    this.setConfiguration(configuration);
  }

  setConfiguration({ iceServers = [] }: RTCConfiguration): void {
    this.servers.push(iceServers.flatMap(({ urls }) => urls));
  }

  async createOffer(): Promise<RTCSessionDescriptionInit> {
    return { type: 'offer', sdp: '' };
  }

  async createAnswer(): Promise<RTCSessionDescriptionInit> {
    return { type: 'answer', sdp: '' };
  }

  async setLocalDescription(): Promise<void> {
    this.signalingState = this.signalingState === 'stable' ? 'have-local-offer' : 'stable';
    this.localDescription = { sdp: `generation ${this.restarts}` };
  }

  async setRemoteDescription(description: { type: string }): Promise<void> {
    this.remoteDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
  }

  getTransceivers() {
    return [
      { mid: 's0', receiver: {} },
      { mid: 's1', receiver: this.receiver },
    ];
  }

  createDataChannel(label: string, init: RTCDataChannelInit): void {
    this.channels.push({ label, ...init });
  }

  restartIce(): void {
    this.restarts += 1;
  }

  async getStats(): Promise<Map<string, unknown>> {
    this.#bytesSent += 100;
    const { bytesReceived } = this;
    this.packetsSent += this.sending;
    this.#reports += this.reporting;
    return new Map<string, unknown>([
      ['pair', { type: 'candidate-pair', bytesReceived, bytesSent: this.#bytesSent }],
      ['picture', { type: 'inbound-rtp', kind: 'video', mid: 's1', ...this.pictures }],
      ['camera', { type: 'outbound-rtp', packetsSent: this.packetsSent }],
      ['report', { type: 'remote-inbound-rtp', roundTripTimeMeasurements: this.#reports }],
    ]);
  }

  close(): void {
    this.closed = true;
  }

  go(iceConnectionState: string, connectionState = iceConnectionState): void {
    Object.assign(this, { iceConnectionState, connectionState });
    this.oniceconnectionstatechange?.();
  }
}

async function setUp(uris = [UDP, TCP], channels = true) {
  const clock = new VirtualClock();
  const sent: ClientFrame[] = [];
  const failures: [ClientError, boolean][] = [];
  const restarts: string[] = [];
  const platform = { clock, RTCPeerConnection: PathOnlyConnection } as unknown as Platform;
  const credentials = { uris, username: 'u', password: 'p', ttl: 600 };
  const session = new MediaSession(
    platform,
    credentials,
    { forceRelay: true, path: 'udp', channels },
    {
      ...{ send: (frame: ClientFrame) => void sent.push(frame), onConnected: () => {}, onReceiversChanged: () => {} },
      ...{ onChannel: () => {}, onUnrelatedError: () => {}, onPublished: () => {}, onRefused: () => {} },
      onRestart: ({ message }: ClientError) => void restarts.push(message),
      onFailed: (error: ClientError, wasConnected: boolean) => failures.push([error, wasConnected]),
    },
  );
  const settle = async () => {
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  const pc = PathOnlyConnection.last;
  const pass = async (seconds: number, receiving = 0) => {
    for (let second = 0; second < seconds; second += 1) {
      pc.bytesReceived += receiving;
      clock.advance(1_000);
      await settle();
    }
  };
  session.receive({ type: 'offer', sdp: 'v=0' });
  await settle();
  /** What the session offered; the server answers it. */
  const offers = () => sent.filter((frame) => frame.type === 'offer').map(({ sdp }) => sdp);
  const answer = async () => {
    session.receive({ type: 'answer', sdp: 'v=0' });
    await settle();
  };
  return { session, pc, pass, settle, offers, answer, failures, restarts };
}

test('the m-line of data channels is there before the first description, made by a channel that nobody is told of', async () => {
  const { pc } = await setUp();
  expect(pc.channels).toEqual([{ label: '', negotiated: true, id: 1 }]);
  expect((await setUp([UDP], false)).pc.channels).toEqual([]);
});

test('UDP that brings no path within 3 s is followed by all of TURN in the same session, then by its end', async () => {
  const { pc, pass, offers, answer, failures } = await setUp();
  await pass(3);
  expect(pc.servers).toEqual([[UDP], [UDP, TCP]]);
  expect(offers()).toEqual(['generation 1']);
  await answer();
  await pass(8);
  expect(failures).toMatchObject([[{ code: 'media_failed' }, false]]);
  expect(pc.closed).toBe(true);
});

test('a path that breaks is sought anew, on UDP first; when that is back, the next break is treated alike', async () => {
  const { pc, pass, settle, offers, answer, failures } = await setUp();
  pc.go('connected');
  for (const generation of [1, 2]) {
    pc.go('disconnected');
    await pass(2, 100);
    expect(offers().at(-1)).toBe(`generation ${generation}`);
    await answer();
    pc.go('connected');
    await settle();
  }
  expect(pc.servers).toEqual([[UDP]]);
  expect(failures).toEqual([]);
});

test('a path that only ICE takes for broken stays while media comes and ours is reported', async () => {
  const { pc, pass, offers, restarts } = await setUp();
  pc.go('connected');
  pc.reporting = 1;
  await pass(3, 100);
  pc.go('disconnected');
  await pass(20, 100);
  pc.go('connected');
  pc.go('disconnected');
  await pass(6, 100);
  expect(offers()).toEqual([]);
  expect(restarts).toEqual([]);
});

test('a path that brings media and carries none of ours is sought anew in seconds, and that is told', async () => {
  const { pc, pass, offers, restarts } = await setUp();
  pc.go('connected');
  pc.reporting = 1;
  await pass(3, 100);
  pc.reporting = 0;
  pc.go('disconnected');
  await pass(3, 100);
  expect(offers()).toEqual([]);
  await pass(1, 100);
  expect(offers()).toEqual(['generation 1']);
  expect(restarts).toEqual(['the media path broke']);
});

test('a path that carries ours and brings no media is sought anew at once', async () => {
  const { pc, pass, offers } = await setUp();
  pc.go('connected');
  pc.reporting = 1;
  await pass(3, 100);
  pc.go('disconnected');
  await pass(2);
  expect(offers()).toEqual(['generation 1']);
});

test('who sends nothing that would be reported waits for the next checks of the browser while media comes', async () => {
  const { pc, pass, offers } = await setUp();
  pc.sending = 0;
  pc.go('connected');
  await pass(3, 100);
  pc.go('disconnected');
  await pass(7, 100);
  expect(offers()).toEqual([]);
  await pass(1, 100);
  expect(offers()).toEqual(['generation 1']);
});

test('a path that goes silent unnoticed by the browser is replaced, and flow says that the new one works', async () => {
  const { pc, pass, offers, answer, failures } = await setUp();
  pc.go('connected');
  await pass(4, 100);
  await pass(3);
  expect(offers()).toEqual(['generation 1']);
  await answer();
  await pass(20, 100);
  expect(offers()).toHaveLength(1);
  expect(failures).toEqual([]);
});

test('a path that goes silent as soon as it is there is replaced too', async () => {
  const { pc, pass, offers } = await setUp();
  pc.bytesReceived = 900;
  pc.go('connected');
  await pass(4);
  expect(offers()).toEqual(['generation 1']);
});

test('two restarts in vain, the second with all of TURN, and the session is given up', async () => {
  const { pc, pass, offers, answer, failures } = await setUp();
  pc.go('connected');
  pc.go('failed');
  await pass(1);
  await answer();
  await pass(8);
  await answer();
  expect(offers()).toEqual(['generation 1', 'generation 2']);
  expect(pc.servers.at(-1)).toEqual([UDP, TCP]);
  await pass(8);
  expect(failures).toMatchObject([[{ code: 'media_failed' }, true]]);
});

test('while the socket is gone nothing is given up; what broke meanwhile is restarted when it is back', async () => {
  const { session, pc, pass, settle, offers, failures } = await setUp();
  pc.go('connected');
  session.suspend();
  pc.go('disconnected');
  pc.go('failed');
  await pass(14);
  expect(offers()).toEqual([]);
  expect(failures).toEqual([]);
  session.resume();
  await settle();
  expect(offers()).toEqual(['generation 1']);
});

test('a socket that comes back while the path holds negotiates nothing', async () => {
  const { session, pc, pass, settle, offers } = await setUp();
  pc.go('connected');
  session.suspend();
  await pass(10, 100);
  session.resume();
  await settle();
  await pass(10, 100);
  expect(offers()).toEqual([]);
  expect(pc.restarts).toBe(0);
});

test('a receiver whose pictures come too late on a path with loss is told to wait longer', async () => {
  const { pc, pass } = await setUp();
  pc.go('connected');
  await pass(2, 100);
  expect(pc.receiver.jitterBufferTarget).toBeNull();
  pc.pictures = { framesDecoded: 18, framesDropped: 2, nackCount: 1 };
  await pass(1, 100);
  expect(pc.receiver.jitterBufferTarget).toBe(60);
});
