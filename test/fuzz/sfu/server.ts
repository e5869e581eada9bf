import { request } from 'node:http';
import { EventLoopMeter, SIGNATURE_HEADER, sfuControlKey, signRequest, signTicket } from '@orama/core';
import {
  SFU_TICKET_HEADER,
  type SfuConfig,
  type SfuConfigInput,
  type SfuTicket,
  sfuConfigSchema,
} from '@orama/protocol';
import { WebSocket } from 'ws';

/** The SFU's, of runs and of recordings. */
export const SECRET = 'a-secret-of-the-fuzzed-namespace-0123';
const NAMESPACE = 'demo';
export const SIGNALLING_PORT = 30_000;

const KEY = sfuControlKey(SECRET);

export function configOn(address: string, changes: Partial<SfuConfigInput> = {}): SfuConfig {
  return sfuConfigSchema.parse({
    node: 'node-1',
    namespace: NAMESPACE,
    address,
    wireguardNetwork: '127.86.0.0/16',
    signalingPort: SIGNALLING_PORT,
    mediaPortStart: 20_000,
    mediaPortEnd: 20_199,
    secretFile: 'secret',
    turn: { uris: ['turn:127.86.1.1:3478?transport=udp'], secret: SECRET },
    workers: 1,
    ...changes,
  });
}

/** What the gateway would hand over of a client. */
export function ticketOf(changes: Partial<SfuTicket> = {}): Omit<SfuTicket, 'exp'> {
  return {
    ns: NAMESPACE,
    room: 'room',
    identity: 'key-1',
    permissions: { publish: true, subscribe: true, data: true, admin: false },
    maxParticipants: 100,
    maxSpeakers: null,
    ...changes,
  };
}

/** A signalling socket as the gateway opens it. @param nowMs of the SFU's clock */
export function openSocket(address: string, ticket: Partial<SfuTicket>, nowMs = Date.now()): WebSocket {
  const { room } = ticketOf(ticket);
  const url = `ws://${address}:${SIGNALLING_PORT}/ws/signal?room=${encodeURIComponent(room)}`;
  const socket = new WebSocket(url, { headers: { [SFU_TICKET_HEADER]: signTicket(KEY, ticketOf(ticket), nowMs) } });
  socket.on('error', () => undefined);
  return socket;
}

/** A room command or a session's request, signed as the gateway signs it. @param nowMs of the SFU's clock */
export function callSigned(
  address: string,
  method: string,
  target: string,
  body: string,
  nowMs = Date.now(),
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { [SIGNATURE_HEADER]: signRequest(KEY, method, target, body, nowMs) };
    const outgoing = request({ host: address, port: SIGNALLING_PORT, method, path: target, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** A loopback address that this process shares with few others, so that runs beside each other keep their ports. */
export function ownAddress(last: number): string {
  return `127.86.${64 + (process.pid % 190)}.${last}`;
}

/** For an SFU that shares its process with those who talk to it: how busy that is says nothing of its peers. */
export function idleEventLoop(): EventLoopMeter {
  const utilization = () => ({ active: 0, idle: 1, utilization: 0 });
  const delay = {
    count: 0,
    max: 0,
    percentile: () => 0,
    reset: () => undefined,
    enable: () => true,
    disable: () => true,
  };
  return new EventLoopMeter(undefined, { utilization, delay: delay as never });
}
