import { startsAv1KeyFrame } from './av1.ts';
import { startsH264KeyFrame } from './h264.ts';
import { startsVp8KeyFrame } from './vp8.ts';
import { startsVp9KeyFrame } from './vp9.ts';

/** Whether the payload `packet[start..end)` begins a frame that decodes without earlier ones. Total: never throws. */
export type KeyFrameTest = (packet: Uint8Array, start: number, end: number) => boolean;

const TESTS: Readonly<Record<string, KeyFrameTest>> = {
  vp8: startsVp8KeyFrame,
  vp9: startsVp9KeyFrame,
  h264: startsH264KeyFrame,
  av1: startsAv1KeyFrame,
};

const always: KeyFrameTest = () => true;

/** The test for a codec name as in SDP. Codecs without key frames (audio) answer true for every packet. */
export function keyFrameTestOf(codec: string): KeyFrameTest {
  return TESTS[codec.toLowerCase()] ?? always;
}
