import { closeSync, mkdtempSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What every Chromium page sends: small enough for several of them on two processors. */
export const CAMERA = { width: 640, height: 360, framesPerSec: 20 } as const;

const FRAMES = 40;
/** Pixels the picture moves between two frames; returns to its start after all frames. */
const STEP = 16;

/** Writes a moving picture with some detail as a YUV4MPEG2 file, for Chromium to play as its camera. */
export function writeFakeCamera(): string {
  const { width, height, framesPerSec } = CAMERA;
  const file = join(mkdtempSync(join(tmpdir(), 'orama-camera-')), 'camera.y4m');
  const out = openSync(file, 'w');
  writeSync(out, `YUV4MPEG2 W${width} H${height} F${framesPerSec}:1 Ip A1:1 C420jpeg\n`);
  const luma = Buffer.alloc(width * height);
  const chroma = Buffer.alloc((width / 2) * (height / 2));
  for (let frame = 0; frame < FRAMES; frame += 1) {
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const moved = (x + frame * STEP) % width;
        // A checkerboard of soft ramps: edges and slopes both cost the encoder something.
        luma[y * width + x] = (((moved >> 5) + (y >> 5)) & 1) * 96 + ((moved * 5 + y * 3) & 63) + 32;
      }
    }
    for (let y = 0; y < height / 2; y += 1)
      chroma.fill(64 + ((y + frame * 3) & 127), y * (width / 2), (y + 1) * (width / 2));
    writeSync(out, 'FRAME\n');
    writeSync(out, luma);
    writeSync(out, chroma);
    writeSync(out, chroma);
  }
  closeSync(out);
  return file;
}
