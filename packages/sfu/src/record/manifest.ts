import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { roomIdSchema, trackKindSchema, trackSourceSchema } from '@orama/protocol';
import { z } from 'zod';

/** What was recorded, `recording.json` beside the files. */
export const recordingSchema = z.object({
  room: roomIdSchema,
  /** ISO 8601; the zero of every `startSec`. */
  startedAt: z.string(),
  /** Null while it goes on, or when it did not end in order. */
  endedAt: z.string().nullable(),
  tracks: z.array(
    z.object({
      /** In the same folder. Its first frame is at 0. */
      file: z.string(),
      peerId: z.string(),
      name: z.string().optional(),
      trackId: z.string(),
      kind: trackKindSchema,
      source: trackSourceSchema.optional(),
      codec: z.string(),
      /** Where the file begins: files of one peer that are shifted by it play in sync. */
      startSec: z.number(),
      durationSec: z.number(),
      frames: z.int(),
      /** RTP packets that never came. */
      lostPackets: z.int(),
      /** Why the file ends before the track did; absent where it does not. */
      fault: z.string().optional(),
    }),
  ),
});
export type Recording = z.infer<typeof recordingSchema>;
export type RecordedTrack = Recording['tracks'][number];

/** Writes the manifest into the recording's folder, whole or not at all. Rejects where the disk does not take it. */
export async function writeManifest(folder: string, recording: Recording): Promise<void> {
  const file = join(folder, 'recording.json');
  const next = `${file}.new`;
  try {
    await writeFile(next, `${JSON.stringify(recording, null, 2)}\n`);
    await rename(next, file);
  } catch (thrown) {
    await rm(next, { force: true });
    throw thrown;
  }
}
