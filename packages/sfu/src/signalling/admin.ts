import {
  type InternalHandler,
  type InternalReply,
  type InternalRequest,
  OramaError,
  type RequestVerifier,
  SIGNATURE_HEADER,
} from '@orama/core';
import type { SfuRoom } from '@orama/protocol';
import type { WorkerHandle } from '../worker/worker-handle.ts';

/** What room commands need of the SFU. */
export interface RoomWorkers {
  workers(): readonly WorkerHandle[];
  /** The worker that holds a room; one that would say that there is no such room when nobody does. */
  workerOf(room: string): WorkerHandle;
  /** The worker that holds a room, chosen now if nobody does. */
  place(room: string): WorkerHandle;
}

/**
 * Room commands of gateway and controlplane and the sessions of WHIP and WHEP, each signed with the namespace's control
 * key, given to the worker that holds the room.
 */
export function adminHandler(sfu: RoomWorkers, verifier: RequestVerifier, now: () => number): InternalHandler {
  return async (request) => {
    const { method, path, query, target, body, headers } = request;
    if (!/^\/(?:rooms|sessions)(?:\/|$)/.test(path)) return undefined;
    const refusal = verifier.verify(headers[SIGNATURE_HEADER] as string | undefined, method, target, body, now());
    if (refusal !== null)
      throw new OramaError('UNAUTHORIZED', `the room command is not signed as it must be: ${refusal}`);
    if (method === 'GET' && !query.has('room')) return everywhere(sfu.workers(), request);
    const named = query.get('room') ?? roomIn(body);
    return (path === '/sessions/open' ? sfu.place(named) : sfu.workerOf(named)).request(request);
  };
}

/** Asks every worker and puts their lists together. */
async function everywhere(
  workers: readonly WorkerHandle[],
  request: InternalRequest,
): Promise<InternalReply | undefined> {
  const rooms: SfuRoom[] = [];
  for (const reply of await Promise.all(workers.map((worker) => worker.request(request)))) {
    if (reply?.status !== 200) return reply;
    rooms.push(...(reply.body as { rooms: SfuRoom[] }).rooms);
  }
  return { status: 200, body: { rooms } };
}

/** The room that a body names, also by its ticket; '' without one, which the worker that gets the command complains about. */
function roomIn(body: string): string {
  try {
    const { room, ticket } = JSON.parse(body) as { room?: unknown; ticket?: { room?: unknown } };
    return String(room ?? ticket?.room ?? '');
  } catch {
    return '';
  }
}
