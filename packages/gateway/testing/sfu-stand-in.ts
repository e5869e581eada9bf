import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { listen, RequestVerifier, SIGNATURE_HEADER, sfuControlKey, UserError, verifyTicket } from '@orama/core';
import { type Participant, SFU_TICKET_HEADER, type SfuRoom, type SfuTicket } from '@orama/protocol';
import { type WebSocket, WebSocketServer } from 'ws';

/** A signalling socket that reached the stand-in. */
export interface Arrival {
  socket: WebSocket;
  ticket: SfuTicket;
  received: { text: string; isBinary: boolean }[];
  closed: Promise<number>;
}

/** A signed command that reached the stand-in. */
export interface Command {
  method: string;
  target: string;
  body: string;
}

/**
 * What an SFU is to a gateway: a real server that checks tickets and signatures with the same code, and tells every
 * arrival `{type: 'hello', node, room}`. It knows no media.
 */
export class SfuStandIn {
  readonly node: string;
  readonly address: string;
  readonly port: number;
  readonly namespace: string;
  readonly arrivals: Arrival[] = [];
  readonly commands: Command[] = [];
  /** Rooms it says it has. */
  rooms: { room: string; participants: (Participant & { identity: string; node?: string })[]; tracks: number }[] = [];
  peers = 0;
  /** Upgrades asked for, those refused included. */
  upgrades = 0;
  status: 'ok' | 'busy' | 'draining' = 'ok';
  /** Times its health was asked for. */
  healthAsked = 0;
  /** Whether it leaves HTTP requests without an answer. */
  isHanging = false;
  /** HTTP status that refuses every upgrade, if set. */
  refuseWith: number | null = null;
  readonly #key: Buffer;
  readonly #verifier: RequestVerifier;
  #server: Server | null = null;
  #webSockets: WebSocketServer | null = null;

  constructor(options: { node: string; address: string; port: number; namespace: string; secret: string }) {
    this.node = options.node;
    this.address = options.address;
    this.port = options.port;
    this.namespace = options.namespace;
    this.#key = sfuControlKey(options.secret);
    this.#verifier = new RequestVerifier(this.#key);
  }

  async start(): Promise<void> {
    const webSockets = new WebSocketServer({
      noServer: true,
      maxPayload: 1024 * 1024,
      handleProtocols: (offered) => [...offered][0] ?? false,
    });
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      if (request.url === '/healthz') this.healthAsked += 1;
      if (this.isHanging) return;
      const target = request.url ?? '';
      const answer = (status: number, value: unknown) => response.writeHead(status).end(JSON.stringify(value));
      if (target === '/healthz') {
        const { status, namespace, node, peers } = this;
        return answer(200, { status, namespace, node, rooms: this.rooms.length, peers, generation: 1 });
      }
      const signature = request.headers[SIGNATURE_HEADER];
      const fault = this.#verifier.verify(String(signature), request.method ?? '', target, body, Date.now());
      if (fault) return answer(401, { fault });
      this.commands.push({ method: request.method ?? '', target, body });
      if (request.method === 'GET') return answer(200, { rooms: this.#roomList() });
      const affected = this.#affected(target, body);
      if (affected !== null) return answer(200, { affected });
      return answer(404, new UserError('PEER_NOT_FOUND', 'there is no such peer').toBody());
    });
    server.on('upgrade', (request, socket, head) => {
      this.upgrades++;
      const ticket = verifyTicket(this.#key, String(request.headers[SFU_TICKET_HEADER]), Date.now());
      const refusal = this.refuseWith ?? (ticket?.ns === this.namespace ? null : 401);
      if (refusal !== null || !ticket) {
        socket.end(`HTTP/1.1 ${refusal} No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
        return;
      }
      webSockets.handleUpgrade(request, socket, head, (webSocket) => this.#arrive(webSocket, ticket));
    });
    await listen(server, { address: this.address, port: this.port });
    this.#server = server;
    this.#webSockets = webSockets;
  }

  /** Ends at once, as a killed process would. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = null;
    for (const client of this.#webSockets?.clients ?? []) client.terminate();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }

  #arrive(socket: WebSocket, ticket: SfuTicket): void {
    const arrival: Arrival = {
      socket,
      ticket,
      received: [],
      closed: new Promise((resolve) => {
        socket.once('close', (code) => resolve(code));
      }),
    };
    this.arrivals.push(arrival);
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => arrival.received.push({ text: String(data), isBinary }));
    socket.send(JSON.stringify({ type: 'hello', node: this.node, room: ticket.room }));
  }

  #roomList(): SfuRoom[] {
    const at = new Date().toISOString();
    return this.rooms.map((room) => ({ ...room, createdAt: at, lastActivity: at }));
  }

  /** How many peers a command meets; null when the one it names is not there. */
  #affected(target: string, body: string): number | null {
    if (body === '') {
      const id = new URLSearchParams(target.split('?')[1]).get('room');
      const closed = this.rooms.filter(({ room }) => room === id);
      this.rooms = this.rooms.filter(({ room }) => room !== id);
      return closed.flatMap((room) => room.participants).length;
    }
    const { room: id, peerId } = JSON.parse(body);
    const peers = this.rooms.find(({ room }) => room === id)?.participants ?? [];
    return peers.some((peer) => peer.peerId === peerId) ? 1 : null;
  }
}
