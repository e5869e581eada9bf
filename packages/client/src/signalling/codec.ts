import { type ClientFrame, type ServerFrame, serverFrameSchema } from '@orama/protocol';

/** A frame as the text that goes over the wire: flat JSON, `type` first. */
export function encodeFrame(frame: ClientFrame): string {
  const { type, ...fields } = frame;
  return JSON.stringify({ type, ...fields });
}

/** The frame in `text`, or undefined when it is not one we know: newer servers may send more than we understand. */
export function decodeFrame(text: unknown): ServerFrame | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const parsed = serverFrameSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
