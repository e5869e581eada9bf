import { type FileHandle, open } from 'node:fs/promises';
import type { StreamTargetChunk } from 'mediabunny';

/**
 * A file that a muxer fills. From the first bytes on that the disk does not take it keeps its length: what belongs behind
 * them is dropped, while sizes and the duration before them are still put right.
 */
export class FileSink {
  /** Writes never fail here; `onFault` tells. */
  readonly stream: WritableStream<StreamTargetChunk>;
  readonly #path: string;
  readonly #onFault: (thrown: unknown) => void;
  #file: FileHandle | null = null;
  /** Where the file ends for good; null while the disk takes everything. */
  #end: number | null = null;

  /**
   * @param path made with the first bytes
   * @param onFault called when the disk takes no more
   */
  constructor(path: string, onFault: (thrown: unknown) => void) {
    this.#path = path;
    this.#onFault = onFault;
    this.stream = new WritableStream({ write: (chunk) => this.#write(chunk), close: () => this.#close() });
  }

  async #write({ data, position }: StreamTargetChunk): Promise<void> {
    const length = Math.min(data.length, (this.#end ?? Number.POSITIVE_INFINITY) - position);
    let written = 0;
    try {
      this.#file ??= await open(this.#path, 'w');
      while (written < length) {
        const { bytesWritten } = await this.#file.write(data, written, length - written, position + written);
        written += bytesWritten;
      }
    } catch (thrown) {
      if (this.#end !== null) return;
      this.#end = position + written;
      this.#onFault(thrown);
    }
  }

  async #close(): Promise<void> {
    try {
      await this.#file?.close();
    } catch (thrown) {
      this.#onFault(thrown);
    }
  }
}
