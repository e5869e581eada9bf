import { clientFrameSchema, DATA_MAX_BYTES, METADATA_MAX_BYTES } from '@orama/protocol';
import { ClientError, describeError } from '../errors.ts';

/**
 * Checks what we say of ourselves as the server does: what it would refuse now it would also refuse in the join after a
 * reconnect, and the call would end there.
 * @throws ClientError `invalid_argument`
 */
export function requireDescription({ name, metadata }: { name?: unknown; metadata?: unknown }): void {
  requireSize('metadata', metadata, METADATA_MAX_BYTES);
  requireFrame({ type: 'peer-state', name, metadata });
}

/** Checks what is to be sent to the others, as the server does. @throws ClientError `invalid_argument` */
export function requireData(data: unknown, to: unknown): void {
  requireSize('data', data, DATA_MAX_BYTES);
  requireFrame({ type: 'data', data, to });
}

function requireSize(what: string, value: unknown, maxBytes: number): void {
  const bytes = new TextEncoder().encode(textOf(what, value)).length;
  if (bytes > maxBytes)
    throw new ClientError('invalid_argument', `${what} is ${bytes} bytes as JSON, and at most ${maxBytes} are taken`);
}

function textOf(what: string, value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch (thrown) {
    throw new ClientError('invalid_argument', `${what} cannot be written as JSON: ${describeError(thrown)}`);
  }
}

function requireFrame(frame: object): void {
  const [issue] = clientFrameSchema.safeParse(frame).error?.issues ?? [];
  if (issue) throw new ClientError('invalid_argument', `${issue.path.join('.')}: ${issue.message}`);
}
