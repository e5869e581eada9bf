import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { daemonCommand } from '@orama/core';
import type { SfuHealth } from '@orama/protocol';
import { RtcChannel, RtcConnection, type SendTrackOptions } from '@orama/sfu/rtc';
import { readMetrics } from '@orama/testkit';
import type { WebSocket } from 'ws';
import { readLog } from '../log-lines.ts';
import type { Memory } from '../rounds.ts';
import type { Host, Media } from './host.ts';
import type { Judge } from './judge.ts';
import { answerForNative, transportOf } from './sdp.ts';
import { callSigned, configOn, openSocket, ownAddress, SECRET, SIGNALLING_PORT } from './server.ts';
import type { Told } from './told.ts';

const MAIN = join(import.meta.dirname, '../../../cmd/sfu/src/main.ts');
/** The resident set breathes with the garbage of the heap, and with what libdatachannel keeps of connections. */
const GROWTH_MAX_BYTES = 96 * 1024 * 1024;
const CARRIER: SendTrackOptions = {
  ...{ mid: 'media', kind: 'video', ssrcs: [], cname: '', streamId: '', trackId: '', both: true },
  codec: { name: 'VP8', payloadType: 96 },
};

/** The real program in a process of its own, and real peers. */
export class Wire implements Host {
  readonly address = ownAddress(2);
  readonly #clientAddress = ownAddress(3);
  readonly #dir = mkdtempSync(join(tmpdir(), 'sfu-fuzz-'));
  readonly #judge: Judge;
  readonly #child: ChildProcess;
  readonly #started: Promise<void>;
  #closing = false;

  private constructor(judge: Judge) {
    this.#judge = judge;
    const [path, secretFile] = [join(this.#dir, 'sfu.json'), join(this.#dir, 'secret')];
    writeFileSync(secretFile, SECRET, { mode: 0o600 });
    writeFileSync(
      path,
      JSON.stringify(configOn(this.address, { secretFile, forceRelay: false, mediaPortEnd: 20_999 })),
    );
    const [program, ...args] = daemonCommand('sfu', MAIN, '--conditions=source');
    this.#child = spawn(program, [...args, '--config', path], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.once('exit', (code, signal) => {
      if (!this.#closing) judge.accuse(`the SFU ended with ${code ?? signal}`);
    });
    this.#started = readLog(this.#child, (line) => judge.accuse(`logged as an error: ${line}`));
  }

  static async start(judge: Judge): Promise<Wire> {
    const wire = new Wire(judge);
    await wire.#started;
    return wire;
  }

  async isReady(): Promise<boolean> {
    return (await this.#health()).status === 'ok';
  }

  openSocket(room: string, identity: string): WebSocket {
    return openSocket(this.address, { room, identity });
  }

  async openMedia(peerId: string, withData: boolean, told: Told): Promise<Media> {
    const onFault = (thrown: unknown) => this.#judge.accuse(`a fault of a client: ${String(thrown)}`);
    const connected = Promise.withResolvers<void>();
    const connection = new RtcConnection(
      { name: peerId, address: this.#clientAddress },
      {
        onState: (state) => state === 'connected' && connected.resolve(),
        onChannel: () => undefined,
        onFault,
      },
    );
    const track = connection.sendTrack(CARRIER);
    track.onPacket = (packet) => this.#judge.packet(packet, told);
    const channels: RtcChannel[] = [];
    const open = (label: string, protocol: string) => {
      const channel = new RtcChannel(label, protocol, onFault);
      connection.openChannel(channel, { ordered: true });
      channels.push(channel);
    };
    if (withData) open('talk', '');
    const offer = connection.createLocal('offer');
    return {
      transport: transportOf(offer),
      async connect(answer) {
        connection.setRemote('answer', answerForNative(answer, offer));
        await connected.promise;
      },
      send: (packet) => void track.send(packet),
      openChannel: (label, protocol) => {
        if (withData && channels.length < 64) open(label, protocol);
      },
      sendMessage: (message, which) => {
        void channels[which % channels.length]?.send(message);
        return channels.length > 0;
      },
      close: () => connection.close(),
    };
  }

  nowMs(): number {
    return Date.now();
  }

  advance(): void {
    // It has the system's time.
  }

  /** A request there and back. */
  async turn(): Promise<void> {
    await this.#health();
  }

  async settle(room: string): Promise<string | undefined> {
    await callSigned(this.address, 'DELETE', `/rooms?room=${room}`, '');
    return undefined;
  }

  metrics(): Promise<Map<string, number>> {
    return readMetrics({ address: this.address, port: SIGNALLING_PORT });
  }

  async memory(): Promise<Memory> {
    const bytes = (await this.metrics()).get('process_resident_memory_bytes{svc="sfu"}') ?? Number.NaN;
    return { bytes, growthMax: GROWTH_MAX_BYTES };
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #health(): Promise<SfuHealth> {
    const request = get({ host: this.address, port: SIGNALLING_PORT, path: '/healthz', agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return (await json(response)) as SfuHealth;
  }
}
