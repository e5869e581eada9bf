import { ENVELOPE_SUBPROTOCOL, type ServerFrame } from '@orama/protocol';

/** How frames look on one socket. */
export interface Dialect {
  encode(frame: ServerFrame): string;
  /** The flat frame in `text`, unchecked. @throws SyntaxError or TypeError when there is none */
  decode(text: string): unknown;
}

/** Flat frames: `{type, ...fields}`. */
const flat: Dialect = {
  encode: (frame) => JSON.stringify(frame),
  decode: (text) => JSON.parse(text) as unknown,
};

const PRESENCE_NAMES: Readonly<Record<string, string>> = {
  'peer-joined': 'participant-joined',
  'peer-left': 'participant-left',
};

/** `{type, data: {fields}}`, with the presence names of upstream Orama. */
const envelope: Dialect = {
  encode({ type, ...data }) {
    return JSON.stringify({ type: PRESENCE_NAMES[type] ?? type, data });
  },
  decode(text) {
    const { type, data } = JSON.parse(text) as { type?: unknown; data?: unknown };
    if (data !== undefined && (typeof data !== 'object' || data === null || Array.isArray(data)))
      throw new TypeError('data is not an object');
    // The frame's own `data` field (of a `data` frame) lives inside the envelope's, so spreading is unambiguous.
    return { ...data, type };
  },
};

/** The dialect of a negotiated WebSocket subprotocol. */
export function dialectOf(subprotocol: string): Dialect {
  return subprotocol === ENVELOPE_SUBPROTOCOL ? envelope : flat;
}
