import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createHistogram } from 'node:perf_hooks';
import {
  type Clock,
  ConfigFile,
  EventLoopMeter,
  SIGNATURE_HEADER,
  sfuControlKey,
  signRequest,
  signTicket,
} from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { SFU_TICKET_HEADER, type SfuConfigInput, type SfuTicket, sfuConfigSchema } from '@orama/protocol';
import { WebSocket } from 'ws';
import { Sfu } from '../sfu.ts';
import type { WorkerParts } from '../worker/sfu-worker.ts';

export const TEST_SECRET = '0123456789abcdef0123456789abcdef';
export const TEST_TURN_SECRET = 'a TURN secret of the tests';
const KEY = sfuControlKey(TEST_SECRET);

/** Writes a configuration file of an SFU with other TURN servers, of generation 0. */
export function writeTurnUris(path: string, ...uris: string[]): void {
  writeTurn(path, uris, TEST_TURN_SECRET, 0);
}

/** Writes a configuration file of an SFU with other TURN servers or another secret of them. */
export function writeTurn(path: string, uris: string[], secret: string, generation: number): void {
  const place = { node: 'node-1', namespace: 'demo', address: '127.82.0.1', wireguardNetwork: '127.82.0.0/16' };
  const ports = { signalingPort: 30_000, mediaPortStart: 20_000, mediaPortEnd: 20_199 };
  const turn = { uris, secret, credentialTtlSec: 10 };
  writeFileSync(path, JSON.stringify({ ...place, ...ports, secretFile: 'not read here', turn, generation }));
}

/** An SFU as other processes see it. */
export interface ReachableSfu {
  address: string;
  /** What a signalling socket of another process needs: an address, and a ticket like the gateway's. */
  admission(ticket?: Partial<SfuTicket>): { url: string; ticket: string };
  /** Opens a signalling socket with a ticket like the gateway's. */
  connect(ticket?: Partial<SfuTicket>, options?: { header?: string; query?: string; protocols?: string[] }): WebSocket;
  /** Signed HTTP as the gateway sends it. */
  http(method: string, target: string, body?: unknown, signed?: boolean): Promise<{ status: number; body: unknown }>;
}

/** Tells that there is nothing to do: a slow machine is no reason to turn peers of a test away. */
function calmEventLoop(): EventLoopMeter {
  const delay = Object.assign(createHistogram(), { enable: () => true, disable: () => true });
  return new EventLoopMeter(undefined, { delay, utilization: () => ({ idle: 1, active: 0, utilization: 0 }) });
}

/** A real SFU on a loopback address of its own. */
export interface RunningSfu extends ReachableSfu {
  sfu: Sfu;
}

/**
 * Starts an SFU; every call gets another loopback address, so that ports never collide.
 * @param configFile path of a file whose `turn` it follows
 * @param parts those of its worker; without one, its event loop always has time
 */
export async function startSfu(
  config: Partial<SfuConfigInput> = {},
  clock?: Clock,
  configFile?: string,
  parts?: WorkerParts,
): Promise<RunningSfu> {
  const address = `127.82.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const sfu = new Sfu({
    config: sfuConfigSchema.parse({
      node: 'node-1',
      namespace: 'demo',
      address,
      wireguardNetwork: '127.82.0.0/16',
      signalingPort: 30_000,
      mediaPortStart: 20_000,
      mediaPortEnd: 20_199,
      secretFile: 'not read here',
      turn: { uris: ['turn:127.82.1.1:3478?transport=udp'], secret: TEST_TURN_SECRET },
      forceRelay: false,
      drainTimeoutMs: 2_000,
      workers: 1,
      ...config,
    }),
    ...(configFile !== undefined && { configFile: new ConfigFile(sfuConfigSchema, configFile) }),
    secret: TEST_SECRET,
    logger: silentLogger,
    ...(clock ? { clock } : {}),
    parts: { ...(parts?.eventLoop ? {} : { eventLoop: calmEventLoop() }), ...parts },
  });
  await sfu.start();
  return { sfu, ...reachSfu(address) };
}

/** The SFU that `startSfu` started at an address, in this process or another. */
export function reachSfu(address: string): ReachableSfu {
  const admission = (ticket: Partial<SfuTicket> = {}) => {
    const room = ticket.room ?? 'lobby';
    const signed = signTicket(
      KEY,
      {
        ns: 'demo',
        room,
        identity: 'key-1',
        permissions: { publish: true, subscribe: true, data: true, admin: false },
        maxParticipants: 100,
        maxSpeakers: null,
        ...ticket,
      },
      Date.now(),
    );
    return { url: `ws://${address}:30000/ws/signal?room=${encodeURIComponent(room)}`, ticket: signed };
  };
  return {
    address,
    admission,
    connect(given, { header, query, protocols = [] } = {}) {
      const { url, ticket } = admission(given);
      const target = new URL(url);
      if (query !== undefined) target.searchParams.set('room', query);
      return new WebSocket(target, protocols, { headers: { [SFU_TICKET_HEADER]: header ?? ticket } });
    },
    http(method, target, body, signed = true) {
      const text = body === undefined ? '' : JSON.stringify(body);
      return new Promise((resolve, reject) => {
        const outgoing = request(
          {
            host: address,
            port: 30_000,
            method,
            path: target,
            agent: false,
            headers: signed ? { [SIGNATURE_HEADER]: signRequest(KEY, method, target, text, Date.now()) } : {},
          },
          (response) => {
            let answer = '';
            response.setEncoding('utf8').on('data', (chunk: string) => {
              answer += chunk;
            });
            response.on('end', () => {
              const isJson = response.headers['content-type']?.startsWith('application/json') && answer !== '';
              resolve({ status: response.statusCode ?? 0, body: isJson ? (JSON.parse(answer) as unknown) : answer });
            });
          },
        );
        outgoing.on('error', reject);
        outgoing.end(text);
      });
    },
  };
}
