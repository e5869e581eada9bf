/** What a TLS client says before anything is encrypted. */
export interface ClientHello {
  /** The host it asks for (SNI, RFC 6066), in lower case. */
  readonly serverName: string | undefined;
  /** The protocols it would speak (ALPN, RFC 7301). */
  readonly protocols: readonly string[];
}

/** `more` while bytes are missing: not before there are `atLeast` of them is it worth asking again. */
export type HelloReading = ClientHello | { readonly more: true; readonly atLeast: number } | 'malformed';

/** Browsers send up to 2 KB, with post-quantum keys; nobody is known to send more than this. */
const HELLO_MAX_BYTES = 16 * 1024;
/** TLS lets a message be spread over records; a client that does cuts it in a few. */
const MAX_RECORDS = 32;
const RECORD_HEADER_BYTES = 5;
const RECORD_MAX_BYTES = 16 * 1024;
const HANDSHAKE_RECORD = 22;
const HANDSHAKE_HEADER_BYTES = 4;
const CLIENT_HELLO = 1;
const RANDOM_BYTES = 32;
const SESSION_ID_MAX_BYTES = 32;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;
const NAME_TYPE_HOST = 0;
const HOST = /^[a-z0-9_.-]{1,253}$/;

/**
 * Reads the ClientHello (RFC 8446 section 4.1.2, and 1.2's RFC 5246) that a connection begins with, from its first bytes.
 * Total: any bytes give an answer. What follows the ClientHello is not looked at.
 */
export function readClientHello(bytes: Buffer): HelloReading {
  const message = readMessage(bytes);
  return Buffer.isBuffer(message) ? readBody(new Reader(message)) : message;
}

/** The body of the ClientHello, put together from its records. */
function readMessage(bytes: Buffer): Buffer | Exclude<HelloReading, ClientHello> {
  const fragments: Buffer[] = [];
  let have = 0;
  let offset = 0;
  for (let records = 0; records < MAX_RECORDS; records++) {
    if (bytes.length > offset && bytes[offset] !== HANDSHAKE_RECORD) return 'malformed';
    if (bytes.length > offset + 1 && bytes[offset + 1] !== 3) return 'malformed';
    if (bytes.length < offset + RECORD_HEADER_BYTES) return { more: true, atLeast: offset + RECORD_HEADER_BYTES };
    const length = bytes.readUInt16BE(offset + 3);
    if (length === 0 || length > RECORD_MAX_BYTES) return 'malformed';
    offset += RECORD_HEADER_BYTES;
    const fragment = bytes.subarray(offset, offset + length);
    fragments.push(fragment);
    have += fragment.length;
    const whole = wholeLength(fragments, have);
    if (whole === 'malformed') return 'malformed';
    if (whole !== undefined && have >= whole)
      return Buffer.concat(fragments, have).subarray(HANDSHAKE_HEADER_BYTES, whole);
    if (fragment.length < length) {
      const missing = (whole ?? HANDSHAKE_HEADER_BYTES) - have;
      return { more: true, atLeast: Math.min(offset + length, bytes.length + missing) };
    }
    offset += length;
  }
  return 'malformed';
}

/** Bytes of the message with its header, once enough of it is there to say. */
function wholeLength(fragments: readonly Buffer[], have: number): number | 'malformed' | undefined {
  if (fragments[0]?.[0] !== undefined && fragments[0][0] !== CLIENT_HELLO) return 'malformed';
  if (have < HANDSHAKE_HEADER_BYTES) return undefined;
  const header = Buffer.concat(fragments, HANDSHAKE_HEADER_BYTES);
  const length = header.readUIntBE(1, 3);
  return length > HELLO_MAX_BYTES ? 'malformed' : HANDSHAKE_HEADER_BYTES + length;
}

function readBody(body: Reader): ClientHello | 'malformed' {
  const version = body.bytes(2);
  body.bytes(RANDOM_BYTES);
  const sessionId = body.vector(1);
  const suites = body.vector(2);
  const compressions = body.vector(1);
  if (version?.[0] !== 3 || sessionId === undefined || suites === undefined || compressions === undefined)
    return 'malformed';
  if (sessionId.left > SESSION_ID_MAX_BYTES || suites.left < 2 || suites.left % 2 !== 0 || compressions.left < 1)
    return 'malformed';
  let serverName: string | undefined;
  let protocols: string[] | undefined;
  // TLS 1.2 allows a ClientHello without extensions, down to their length.
  const extensions = body.left === 0 ? new Reader(Buffer.alloc(0)) : body.vector(2);
  if (extensions === undefined || body.left !== 0) return 'malformed';
  const seen = new Set<number>();
  while (extensions.left > 0) {
    const type = extensions.uint(2);
    const content = extensions.vector(2);
    if (type === undefined || content === undefined || seen.has(type)) return 'malformed';
    seen.add(type);
    if (type === EXTENSION_SERVER_NAME) {
      const name = readServerName(content);
      if (name === undefined) return 'malformed';
      serverName = HOST.test(name) ? name : undefined;
    } else if (type === EXTENSION_ALPN) {
      protocols = readProtocols(content);
      if (protocols === undefined) return 'malformed';
    }
  }
  return { serverName, protocols: protocols ?? [] };
}

/** Undefined when it is malformed; empty where there is a name of another type alone. */
function readServerName(content: Reader): string | undefined {
  const list = content.vector(2);
  if (list === undefined || list.left === 0 || content.left !== 0) return undefined;
  let host: string | undefined;
  while (list.left > 0) {
    const type = list.uint(1);
    const name = list.vector(2);
    if (name === undefined || name.left === 0) return undefined;
    if (type !== NAME_TYPE_HOST) continue;
    // Two would let us and a server behind us read different ones.
    if (host !== undefined) return undefined;
    host = name.text().toLowerCase();
  }
  return host ?? '';
}

function readProtocols(content: Reader): string[] | undefined {
  const list = content.vector(2);
  if (list === undefined || list.left === 0 || content.left !== 0) return undefined;
  const protocols: string[] = [];
  while (list.left > 0) {
    const name = list.vector(1);
    if (name === undefined || name.left === 0) return undefined;
    protocols.push(name.text());
  }
  return protocols;
}

/** Bytes that are taken from the front; undefined where there are not as many. */
class Reader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  bytes(count: number): Buffer | undefined {
    if (count > this.left) return undefined;
    this.#offset += count;
    return this.#bytes.subarray(this.#offset - count, this.#offset);
  }

  uint(bytes: 1 | 2): number | undefined {
    return this.bytes(bytes)?.readUIntBE(0, bytes);
  }

  /** What a length in front of it says. */
  vector(lengthBytes: 1 | 2): Reader | undefined {
    const length = this.uint(lengthBytes);
    const content = length === undefined ? undefined : this.bytes(length);
    return content && new Reader(content);
  }

  text(): string {
    return this.#bytes.toString('latin1', this.#offset);
  }
}
