import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { sfuControlKey, signTicket } from '@orama/core';
import { type ClientFrame, type ServerFrame, SFU_TICKET_HEADER } from '@orama/protocol';
import { WebSocket } from 'ws';
import type { Target } from '../engine.ts';
import type { Joined, JoinRequest } from './joining.ts';
import { MediaClient } from './media-client.ts';

const AGAIN_MS = 500;

type OramaTarget = Extract<Target, { kind: 'orama' }>;

/** Joins our SFU: one connection for both ways. Tries again when it is told to, because the server is busy. */
export async function joinOrama(target: OramaTarget, request: JoinRequest): Promise<Joined> {
  for (;;) {
    const joined = await join(target, request);
    if (joined !== 'busy') return joined;
    await wait(AGAIN_MS);
  }
}

async function join(target: OramaTarget, { room, name, ssrc, feeds, tracks }: JoinRequest): Promise<Joined | 'busy'> {
  const ticket = signTicket(
    sfuControlKey(target.secret),
    {
      ns: target.namespace,
      room,
      identity: name,
      permissions: { publish: ssrc !== null, subscribe: feeds !== null, data: false, admin: false },
      maxParticipants: 1_000,
      maxSpeakers: null,
    },
    Date.now(),
  );
  const socket = new WebSocket(`${target.url}?room=${room}`, { headers: { [SFU_TICKET_HEADER]: ticket } });
  await once(socket, 'open');
  const send = (frame: ClientFrame) => socket.send(JSON.stringify(frame));
  const client = new MediaClient(name, tracks);
  const { connection } = client;
  const welcome = Promise.withResolvers<'welcome' | 'busy'>();
  const answer = (offer: string) => {
    try {
      connection.setRemote('offer', plain(offer));
    } catch {
      // One that was stopped for long is offered new ICE credentials, which libdatachannel does not take.
      return;
    }
    send({ type: 'answer', sdp: connection.createLocal('answer') });
  };
  socket.on('message', (data) => {
    const frame = JSON.parse(String(data)) as ServerFrame;
    if (frame.type === 'welcome') welcome.resolve('welcome');
    if (frame.type === 'error' && frame.code === 'capacity') welcome.resolve('busy');
    else if (frame.type === 'error') welcome.reject(new Error(frame.message));
    if (frame.type === 'ping') send({ type: 'pong' });
    if (frame.type === 'offer') answer(frame.sdp);
    if (frame.type === 'ice-candidate' && frame.candidate)
      connection.addCandidate(frame.candidate, frame.sdpMid ?? '0');
    if (frame.type === 'answer') {
      connection.setRemote('answer', frame.sdp);
      for (const { candidate, mid } of connection.localCandidates())
        send({ type: 'ice-candidate', candidate, sdpMid: mid });
    }
  });
  // A plain media client, as Janus has them too: data channels would be 1024 SCTP streams at each end.
  send({ type: 'join', channels: false });
  if ((await welcome.promise) === 'busy') {
    socket.close();
    client.close();
    return 'busy';
  }
  if (ssrc !== null) {
    client.addTrack(ssrc);
    send({ type: 'offer', sdp: connection.createLocal('offer'), tracks: [{ mid: '0', source: 'camera' }] });
  }
  return {
    client,
    feed: null,
    close() {
      socket.close(1000);
      client.close();
    },
  };
}

// The clients estimate nothing: they say what they take by REMB.
function plain(sdp: string): string {
  return sdp.replaceAll(/^a=(?:rtcp-fb:\d+ transport-cc|extmap:\d+ \S*transport-wide-cc\S*)\r?\n/gm, '');
}
