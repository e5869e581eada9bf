import { CHANNEL_MESSAGE_MAX_BYTES } from '@orama/protocol';
import { Audio, type DataChannel, type IceServer, PeerConnection, type Track, Video } from 'node-datachannel';
import { type ChannelReliability, RtcChannel } from './channel.ts';
import { guard } from './guard.ts';
import { NativeTrack } from './native-track.ts';

export interface RtcConnectionOptions {
  /** For libdatachannel's own log. */
  name: string;
  /** The only address that is bound; never a wildcard. */
  address: string;
  portStart?: number;
  portEnd?: number;
  /** TURN servers for this side; an SFU has none. */
  iceServers?: IceServer[];
  /** Use relayed candidates only. */
  relayOnly?: boolean;
}

export type RtcState = 'new' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

/** What a connection tells. Every handler may throw: that becomes `onFault`. */
export interface RtcEvents {
  onState?: (state: RtcState) => void;
  /** A new m-line of the peer. */
  onTrack?: (track: NativeTrack) => void;
  onCandidate?: (candidate: string, mid: string) => void;
  /** A data channel that the peer opened; without a handler it is closed. */
  onChannel?: (channel: RtcChannel) => void;
  /** A handler threw; the connection should be given up. */
  onFault: (thrown: unknown) => void;
}

/** Makes the connection of one peer. */
export type Connect = (options: RtcConnectionOptions, events: RtcEvents) => RtcConnection;

export interface SendTrackOptions {
  mid: string;
  kind: 'audio' | 'video';
  /** Those it may ever send with: RTCP about any other is not handed to the track. */
  ssrcs: number[];
  cname: string;
  streamId: string;
  trackId: string;
  codec: { name: string; payloadType: number; fmtp?: string };
  /** Receive on it as well. */
  both?: boolean;
}

/**
 * A libdatachannel PeerConnection with its edges taken off: callbacks that throw cannot end the process, nothing calls
 * back after `close()`, tracks are kept from the garbage collector, and one wrong call throws instead of aborting.
 */
export class RtcConnection {
  readonly #native: PeerConnection;
  readonly #events: RtcEvents;
  readonly #tracks = new Map<string, NativeTrack>();
  /** A collected wrapper closes its track, so all of them live as long as the connection. */
  readonly #wrappers: Track[] = [];
  readonly #channels = new Set<RtcChannel>();
  #remoteKnown = false;
  #expectsChannels = false;
  #closed = false;

  constructor(options: RtcConnectionOptions, events: RtcEvents) {
    this.#events = events;
    this.#native = new PeerConnection(options.name, {
      iceServers: options.iceServers ?? [],
      bindAddress: options.address,
      disableAutoNegotiation: true,
      forceMediaTransport: true,
      maxMessageSize: CHANNEL_MESSAGE_MAX_BYTES,
      ...(options.portStart === undefined ? {} : { portRangeBegin: options.portStart }),
      ...(options.portEnd === undefined ? {} : { portRangeEnd: options.portEnd }),
      ...(options.relayOnly ? { iceTransportPolicy: 'relay' as const } : {}),
    });
    this.#native.onStateChange(this.#guarded((state: string) => events.onState?.(state as RtcState)));
    // Each callback is an entry in a list that Node walks for every packet that wakes it, so only those that tell something.
    if (events.onTrack) this.#native.onTrack(this.#guarded((track: Track) => this.#adopt(track, true)));
    if (events.onCandidate)
      this.#native.onLocalCandidate(
        this.#guarded((candidate: string, mid: string) => events.onCandidate?.(candidate, mid)),
      );
  }

  /** The track of an m-line, once it exists. */
  track(mid: string): NativeTrack | undefined {
    return this.#tracks.get(mid);
  }

  /** @throws Error when libdatachannel refuses the description; the connection stays as it was */
  setRemote(type: 'offer' | 'answer', sdp: string): void {
    this.#requireOpen();
    if (/^m=application /m.test(sdp)) this.#expectChannels();
    // libjuice may see the end of candidates before libdatachannel hands it the candidates, and give up at once.
    this.#native.setRemoteDescription(sdp.replaceAll(/^a=end-of-candidates\r?\n/gm, ''), type);
    this.#remoteKnown = true;
  }

  /**
   * Makes and sets the local description.
   *
   * A first offer carries no candidates: send `localCandidates()` once its answer was set. A peer that knows them earlier
   * may be connected to us before libdatachannel has stored its fingerprint, and then the DTLS handshake fails.
   * @throws Error when the signalling state does not allow it
   */
  createLocal(type: 'offer' | 'answer'): string {
    this.#requireOpen();
    const expected = type === 'offer' ? 'stable' : 'have-remote-offer';
    // libdatachannel ends the process when asked for a description in the wrong state.
    if (this.#native.signalingState() !== expected)
      throw new Error(`no ${type} is possible in state ${this.#native.signalingState()}`);
    this.#native.setLocalDescription(type);
    const sdp = this.localDescription;
    return this.#remoteKnown ? sdp : sdp.replaceAll(/^a=(?:candidate:.*|end-of-candidates)\r?\n/gm, '');
  }

  /** As libdatachannel has it, candidates included. @throws Error before there is one */
  get localDescription(): string {
    const description = this.#native.localDescription();
    if (!description) throw new Error('there is no local description yet');
    return description.sdp;
  }

  /** Our candidates so far, to be trickled after a first offer was answered. */
  localCandidates(): { candidate: string; mid: string }[] {
    const sdp = this.localDescription;
    const mid = /^a=mid:(\S+)/m.exec(sdp)?.[1] ?? '';
    return [...sdp.matchAll(/^a=(candidate:.*?)\r?$/gm)].map(([, candidate = '']) => ({ candidate, mid }));
  }

  /** Takes back an offer that was not answered. */
  rollback(): void {
    if (!this.#closed && this.#native.signalingState() === 'have-local-offer')
      this.#native.setLocalDescription('rollback');
  }

  get isStable(): boolean {
    return !this.#closed && this.#native.signalingState() === 'stable';
  }

  /** Whether DTLS did not stand yet. */
  get isConnecting(): boolean {
    return !this.#closed && ['new', 'connecting'].includes(this.#native.state());
  }

  /** @throws Error when the candidate is malformed */
  addCandidate(candidate: string, mid: string): void {
    this.#requireOpen();
    this.#native.addRemoteCandidate(candidate, mid);
  }

  /** Adds an m-line to send on, or to send and receive. Negotiate afterwards. */
  sendTrack(options: SendTrackOptions): NativeTrack {
    this.#requireOpen();
    const { codec } = options;
    const direction = options.both ? 'SendRecv' : 'SendOnly';
    // The native side takes a string or nothing at all.
    const profile: [] | [string] = codec.fmtp ? [codec.fmtp] : [];
    let media: Audio | Video;
    if (options.kind === 'audio') {
      const audio = new Audio(options.mid, direction);
      audio.addAudioCodec(codec.payloadType, codec.name, ...profile);
      media = audio;
    } else {
      const video = new Video(options.mid, direction);
      video.addVideoCodec(codec.payloadType, codec.name, ...profile);
      media = video;
    }
    for (const ssrc of options.ssrcs) media.addSSRC(ssrc, options.cname, options.streamId, options.trackId);
    return this.#adopt(this.#native.addTrack(media), false);
  }

  /** Opens a data channel to the peer. Negotiate afterwards, if the two have no data m-line yet. */
  openChannel(channel: RtcChannel, { ordered, maxRetransmits, maxPacketLifeTime }: ChannelReliability): void {
    this.#requireOpen();
    const native = this.#native.createDataChannel(channel.label, {
      protocol: channel.protocol,
      unordered: !ordered,
      ...(maxRetransmits === undefined ? {} : { maxRetransmits }),
      ...(maxPacketLifeTime === undefined ? {} : { maxPacketLifeTime }),
    });
    channel.bind(native, this.#channels);
  }

  /** `local <-> remote` of the pair in use, for logs and tests. */
  selectedPair(): {
    local: { address: string; port: number; type: string };
    remote: { address: string; port: number; type: string };
  } | null {
    return this.#closed ? null : this.#native.getSelectedCandidatePair();
  }

  /** Closes everything below; idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const track of this.#tracks.values()) track.close();
    for (const channel of [...this.#channels]) channel.close();
    this.#native.close();
  }

  #expectChannels(): void {
    if (this.#expectsChannels) return;
    this.#expectsChannels = true;
    this.#native.onDataChannel(
      this.#guarded((native: DataChannel) => {
        const { onChannel, onFault } = this.#events;
        if (!onChannel) {
          native.close();
          return;
        }
        const channel = new RtcChannel(native.getLabel(), native.getProtocol(), onFault);
        channel.bind(native, this.#channels);
        onChannel(channel);
      }),
    );
  }

  #requireOpen(): void {
    if (this.#closed) throw new Error('the connection is closed');
  }

  #adopt(native: Track, announce: boolean): NativeTrack {
    this.#wrappers.push(native);
    const existing = this.#tracks.get(native.mid());
    if (existing) return existing;
    const track = new NativeTrack(native, this.#events.onFault);
    this.#tracks.set(track.mid, track);
    if (announce) this.#events.onTrack?.(track);
    return track;
  }

  #guarded<A extends unknown[]>(run: (...args: A) => void): (...args: A) => void {
    return guard(() => this.#closed, this.#events.onFault, run);
  }
}
