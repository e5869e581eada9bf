import {
  EncodedAudioPacketSource,
  EncodedPacket,
  EncodedVideoPacketSource,
  MkvOutputFormat,
  Output,
  StreamTarget,
  WebMOutputFormat,
} from 'mediabunny';
import { FileSink } from './file-sink.ts';
import type { Frame } from './frame-assembler.ts';

/** Bytes that may wait for the disk. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** Written at once: a few seconds of sound, which are all that is lost when the process is killed. */
const CHUNK_BYTES = 16 * 1024;

type VideoCodec = ConstructorParameters<typeof EncodedVideoPacketSource>[0];

/** Codecs by their names in SDP, and as WebCodecs names a configuration of them; only the family counts here. */
const VIDEO: Readonly<Record<string, { codec: VideoCodec; config: string }>> = {
  vp8: { codec: 'vp8', config: 'vp8' },
  vp9: { codec: 'vp9', config: 'vp09.00.10.08' },
  av1: { codec: 'av1', config: 'av01.0.04M.08' },
  h264: { codec: 'avc', config: 'avc1.42001f' },
  h265: { codec: 'hevc', config: 'hev1.1.6.L93.B0' },
};
const OPUS = { codec: 'opus', sampleRate: 48_000, numberOfChannels: 2 } as const;

/** File name extension for a codec: WebM where that holds it, else Matroska. */
export function extensionOf(codec: string): 'webm' | 'mkv' {
  return /^(?:opus|vp8|vp9|av1)$/i.test(codec) ? 'webm' : 'mkv';
}

/** Whether a codec, named as in SDP, can be written. */
export function isRecordable(codec: string): boolean {
  return codec.toLowerCase() === 'opus' || codec.toLowerCase() in VIDEO;
}

/** One track as a WebM or Matroska file. Frames are written in the order they are added. */
export class TrackFile {
  readonly #output: Output;
  readonly #audio: EncodedAudioPacketSource | null = null;
  readonly #video: EncodedVideoPacketSource | null = null;
  readonly #config: string;
  readonly #onFault: (thrown: unknown) => void;
  #writing: Promise<void>;
  #waitingBytes = 0;
  #frames = 0;
  #failed = false;

  /**
   * @param onFault called once when the file cannot be written any further, for example because the disk is full; what is
   * added after that is dropped
   */
  constructor(path: string, codec: string, onFault: (thrown: unknown) => void) {
    this.#onFault = onFault;
    const format = extensionOf(codec) === 'webm' ? new WebMOutputFormat() : new MkvOutputFormat();
    const { stream } = new FileSink(path, (thrown) => this.#fail(thrown));
    this.#output = new Output({ format, target: new StreamTarget(stream, { chunked: true, chunkSize: CHUNK_BYTES }) });
    const video = VIDEO[codec.toLowerCase()];
    this.#config = video?.config ?? OPUS.codec;
    if (video) {
      this.#video = new EncodedVideoPacketSource(video.codec);
      this.#output.addVideoTrack(this.#video);
    } else {
      this.#audio = new EncodedAudioPacketSource('opus');
      this.#output.addAudioTrack(this.#audio);
    }
    this.#writing = this.#guarded(() => this.#output.start());
  }

  /** @param seconds since the first frame; never falling */
  add({ data, isKey, width, height }: Frame, seconds: number): void {
    if (this.#failed) return;
    this.#waitingBytes += data.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#fail(new Error('the disk is too slow'));
      return;
    }
    const isFirst = this.#frames++ === 0;
    const packet = new EncodedPacket(data, isKey ? 'key' : 'delta', seconds, 0);
    this.#after(async () => {
      if (this.#video) {
        const decoderConfig = { codec: this.#config, codedWidth: width, codedHeight: height };
        await this.#video.add(packet, isFirst ? { decoderConfig } : undefined);
      } else await this.#audio?.add(packet, isFirst ? { decoderConfig: OPUS } : undefined);
      this.#waitingBytes -= data.length;
    });
  }

  /** Writes what is left, as far as it can be written, and makes the file seekable; without a frame there is no file. Never throws. */
  async close(): Promise<void> {
    this.#writing = this.#writing
      .then(() => (this.#frames === 0 ? this.#output.cancel() : this.#output.finalize()))
      .catch((thrown: unknown) => this.#fail(thrown));
    await this.#writing;
  }

  #after(run: () => Promise<unknown>): void {
    this.#writing = this.#writing.then(() => this.#guarded(run));
  }

  async #guarded(run: () => Promise<unknown>): Promise<void> {
    if (this.#failed) return;
    try {
      await run();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#onFault(thrown);
  }
}
