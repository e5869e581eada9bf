import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Target } from '../engine.ts';
import type { Joined, JoinRequest } from './joining.ts';
import { MediaClient } from './media-client.ts';

const KEEP_ALIVE_MS = 20_000;
const PUBLISHERS_MAX = 100;

interface Jsep {
  type: 'offer' | 'answer';
  sdp: string;
}
interface Reply {
  janus: string;
  transaction?: string;
  sender?: number;
  data?: { id: number };
  error?: { reason: string };
  jsep?: Jsep;
  plugindata?: { data: { id?: number; error?: string; videoroom?: string } };
}

/** Joins a videoroom: one handle and connection to send, or one to watch. */
export async function joinJanus(
  target: Extract<Target, { kind: 'janus' }>,
  { room, name, ssrc, feeds, tracks }: JoinRequest,
): Promise<Joined> {
  const session = await JanusSession.open(target.url);
  const number = roomNumber(room);
  await session
    .message({ request: 'create', room: number, publishers: PUBLISHERS_MAX, bitrate: 0, videocodec: 'vp8' })
    .catch(() => {
      // Somebody else made it.
    });
  const client = new MediaClient(name, tracks);
  const { connection } = client;
  const close = () => {
    session.close();
    client.close();
  };
  const joined = { client, close };
  if (ssrc !== null) {
    client.addTrack(ssrc);
    const jsep: Jsep = { type: 'offer', sdp: connection.createLocal('offer') };
    const id = await session.event({ request: 'join', ptype: 'publisher', room: number });
    const configured = await session.event({ request: 'configure', video: true, audio: false }, jsep);
    connection.setRemote('answer', configured.jsep?.sdp ?? '');
    for (const { candidate, mid } of connection.localCandidates()) session.trickle(candidate, mid);
    session.trickle(null, '0');
    return { ...joined, feed: id.plugindata?.data.id ?? null };
  }
  const streams = (feeds ?? []).map((feed) => ({ feed }));
  const attached = await session.event({ request: 'join', ptype: 'subscriber', room: number, streams });
  connection.setRemote('offer', withoutCandidates(attached.jsep?.sdp ?? ''));
  const jsep: Jsep = { type: 'answer', sdp: connection.createLocal('answer') };
  await session.event({ request: 'start' }, jsep);
  session.trickle(null, '0');
  return { ...joined, feed: null };
}

/**
 * With no candidate to check, its own checks follow those of Janus, which is connected first then. Otherwise its DTLS ClientHello
 * comes too early, Janus drops it, and OpenSSL waits a second before the next (decision 005 has the same of our SFU).
 */
function withoutCandidates(sdp: string): string {
  return sdp.replaceAll(/^a=(?:candidate:.*|end-of-candidates)\r?\n/gm, '');
}

/** A session with one handle of the videoroom plugin. */
class JanusSession {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, { wanted: 'success' | 'event'; done: PromiseWithResolvers<Reply> }>();
  readonly #keepAlive: NodeJS.Timeout;
  #session = 0;
  #handle = 0;
  #lastTransaction = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#receive(JSON.parse(String(data)) as Reply));
    this.#keepAlive = setInterval(() => this.#send({ janus: 'keepalive' }), KEEP_ALIVE_MS);
  }

  static async open(url: string): Promise<JanusSession> {
    const socket = new WebSocket(url, 'janus-protocol');
    await once(socket, 'open');
    const session = new JanusSession(socket);
    session.#session = (await session.#ask({ janus: 'create' }, 'success')).data?.id ?? 0;
    session.#handle =
      (await session.#ask({ janus: 'attach', plugin: 'janus.plugin.videoroom' }, 'success')).data?.id ?? 0;
    return session;
  }

  /** A request that is answered at once. */
  message(body: object): Promise<Reply> {
    return this.#ask({ janus: 'message', body }, 'success');
  }

  /** A request that is answered by an event. */
  event(body: object, jsep?: Jsep): Promise<Reply> {
    return this.#ask({ janus: 'message', body, ...(jsep ? { jsep } : {}) }, 'event');
  }

  /** @param candidate null for the end of candidates */
  trickle(candidate: string | null, sdpMid: string): void {
    const body = candidate === null ? { completed: true } : { candidate, sdpMid, sdpMLineIndex: 0 };
    this.#send({ janus: 'trickle', candidate: body });
  }

  close(): void {
    clearInterval(this.#keepAlive);
    this.#send({ janus: 'destroy' });
    this.#socket.close();
  }

  #ask(message: object, wanted: 'success' | 'event'): Promise<Reply> {
    const done = Promise.withResolvers<Reply>();
    this.#waiting.set(this.#send(message), { wanted, done });
    return done.promise;
  }

  #send(message: object): string {
    const transaction = `t${++this.#lastTransaction}`;
    const where = {
      ...(this.#session ? { session_id: this.#session } : {}),
      ...(this.#handle ? { handle_id: this.#handle } : {}),
    };
    this.#socket.send(JSON.stringify({ ...message, transaction, ...where }));
    return transaction;
  }

  #receive(reply: Reply): void {
    const waiting = this.#waiting.get(reply.transaction ?? '');
    if (!waiting || (reply.janus === 'ack' && waiting.wanted === 'event')) return;
    this.#waiting.delete(reply.transaction ?? '');
    const error = reply.error?.reason ?? reply.plugindata?.data.error;
    if (error === undefined) waiting.done.resolve(reply);
    else waiting.done.reject(new Error(`Janus: ${error}`));
  }
}

/** Rooms of Janus have numbers. */
function roomNumber(room: string): number {
  return [...room].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) % 1_000_000, 7) + 1;
}
