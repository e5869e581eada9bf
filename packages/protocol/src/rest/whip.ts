import { z } from 'zod';

/** Query of `POST /v1/webrtc/whip/<room>` and `POST /v1/webrtc/whep/<room>`. */
export const whipQuerySchema = z.object({
  /** Shown to the others in the room. */
  name: z.string().min(1).max(128).optional(),
  /** Of WHEP: peer id or name of the publisher to play; absent: whoever came last. */
  peer: z.string().min(1).max(128).optional(),
});
