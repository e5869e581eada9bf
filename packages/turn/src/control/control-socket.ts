import { chmodSync, lstatSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { setImmediate as immediate } from 'node:timers/promises';
import {
  ConfigError,
  closeServer,
  createInternalServer,
  formatIssues,
  type InternalReply,
  type InternalRequest,
  type Logger,
  listen,
  UserError,
} from '@orama/core';
import {
  ipSchema,
  namespaceNameSchema,
  portSchema,
  type TurnPeerVerdict,
  type TurnServerStatus,
  type TurnUsage,
  turnCertificateSchema,
  turnDrainSchema,
  turnTenantSchema,
} from '@orama/protocol';
import type { CertificateStore } from '../certificates/certificate-store.ts';
import { checkRelay, interfaceAddresses, type ServerAddresses } from '../server/node-addresses.ts';
import type { TenantDirectory } from '../tenant/directory.ts';

const TENANT_PATH = /^\/tenants\/([^/]+)$/;
const LINES_PATH = /^\/tenants\/([^/]+)\/lines$/;
const PEER_PATH = /^\/tenants\/([^/]+)\/peers\/([^/]+)$/;
const CERTIFICATE_PATH = /^\/certificates\/([^/]+)$/;

/** What the socket attaches tenants to. */
export type TenantTable = Pick<TenantDirectory, 'list' | 'attach' | 'detach'> &
  Partial<Pick<TenantDirectory, 'explainPeer' | 'takeLines'>>;

/** What the socket tells of the whole server, and ends. */
export interface NodeControl {
  status(): Promise<TurnServerStatus>;
  usage(): Promise<TurnUsage>;
  /** Begins a drain; without a deadline, with the configured one. */
  drain(deadlineMs?: number): void;
}

/**
 * HTTP over a Unix socket that only its owner may open: `PUT /tenants/<ns>` attaches or reloads a tenant and answers
 * with its status, `DELETE /tenants/<ns>` detaches it and answers 204 when its sockets are closed (404 when there was
 * none), `GET /tenants` lists, `POST /tenants/<ns>/lines` hands over what was logged of one and keeps it no longer, `GET /tenants/<ns>/peers/<ip>?port=` names the rule of the peer policy. `GET /status` and
 * `GET /usage` tell of the whole server, `POST /drain` ends it in order. `PUT /certificates/<name>` takes the TLS certificate of a host name and answers with its
 * status, `DELETE` forgets it.
 */
export class ControlSocket {
  readonly #path: string;
  readonly #tenants: TenantTable;
  readonly #node: NodeControl | undefined;
  readonly #certificates: CertificateStore | undefined;
  readonly #server: ServerAddresses;
  readonly #http: Server;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(options: {
    path: string;
    /** Where the server listens itself: no port for a tenant. */
    server: ServerAddresses;
    tenants: TenantTable;
    /** None where the engine has no such thing. */
    node?: NodeControl;
    /** None where there is no TLS listener. */
    certificates?: CertificateStore | undefined;
    logger: Logger;
  }) {
    this.#path = options.path;
    this.#tenants = options.tenants;
    this.#node = options.node;
    this.#certificates = options.certificates;
    this.#server = options.server;
    this.#http = createInternalServer((request) => this.#tracked(this.#handle(request)), options.logger);
  }

  /** Throws a ConfigError when another server answers on the socket, or something else is there. */
  async start(): Promise<void> {
    if (await isAnswered(this.#path)) {
      throw new ConfigError(`control socket ${this.#path} is in use by another TURN server`);
    }
    if (lstatSync(this.#path, { throwIfNoEntry: false })?.isSocket() === false)
      throw new ConfigError(`controlSocket ${this.#path} is there already and is no socket`, {
        hint: 'configure another path; nothing is overwritten',
      });
    rmSync(this.#path, { force: true });
    const mask = process.umask(0o177);
    try {
      await listen(this.#http, { path: this.#path });
    } finally {
      process.umask(mask);
    }
    chmodSync(this.#path, 0o600);
  }

  /** Answers what it has been asked, then closes: whoever asked for a drain is told that it has begun. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    await immediate();
    await closeServer(this.#http);
  }

  #tracked<T>(handling: Promise<T>): Promise<T> {
    this.#underWay.add(handling);
    const over = () => this.#underWay.delete(handling);
    handling.then(over, over);
    return handling;
  }

  async #handle({ method, path, query, body }: InternalRequest): Promise<InternalReply | undefined> {
    if (method === 'GET' && path === '/tenants') return { status: 200, body: { tenants: this.#tenants.list() } };
    if (method === 'GET' && path === '/status') return answer(await this.#node?.status());
    if (method === 'GET' && path === '/usage') return answer(await this.#node?.usage());
    if (method === 'POST' && path === '/drain') return answer(await this.#drain(body));
    const host = CERTIFICATE_PATH.exec(path)?.[1];
    if (host !== undefined) return this.#certificate(method, host, body);
    const linesOf = LINES_PATH.exec(path)?.[1];
    if (method === 'POST' && linesOf !== undefined) return this.#lines(namespaceOf(linesOf));
    const [, peerOf, peer] = PEER_PATH.exec(path) ?? [];
    if (method === 'GET' && peerOf !== undefined && peer !== undefined) {
      return answer(this.#explain(namespaceOf(peerOf), peer, query.get('port')));
    }
    const name = TENANT_PATH.exec(path)?.[1];
    if (name === undefined) return undefined;
    const namespace = namespaceOf(name);
    if (method === 'PUT') return { status: 200, body: await this.#attach(namespace, body) };
    if (method === 'DELETE') return this.#detach(namespace);
    throw new UserError('METHOD_NOT_ALLOWED', `${method} is not offered on ${path}`);
  }

  async #lines(namespace: string): Promise<InternalReply | undefined> {
    const lines = await this.#tenants.takeLines?.(namespace);
    return answer(lines && { lines });
  }

  async #drain(body: string): Promise<TurnServerStatus | undefined> {
    const wanted = turnDrainSchema.safeParse(body === '' ? {} : parseJson(body));
    if (!wanted.success) {
      throw new UserError('INVALID_REQUEST', `the drain cannot begin:\n${formatIssues(wanted.error)}`);
    }
    this.#node?.drain(wanted.data.deadlineMs);
    return this.#node?.status();
  }

  #explain(namespace: string, peer: string, portText: string | null): TurnPeerVerdict | undefined {
    const address = ipSchema.safeParse(decodePathPart(peer));
    if (!address.success) throw new UserError('INVALID_REQUEST', `the peer "${peer}" is not an IP address`);
    const port =
      portText === null ? undefined : portSchema.safeParse(/^[0-9]+$/.test(portText) ? Number(portText) : undefined);
    if (port?.success === false) throw new UserError('INVALID_REQUEST', `port: "${portText}" is not a port number`);
    if (this.#tenants.explainPeer === undefined) return undefined;
    const verdict = this.#tenants.explainPeer(namespace, address.data, port?.data);
    if (verdict === undefined) throw notAttached(namespace);
    return verdict;
  }

  async #attach(namespace: string, body: string) {
    const tenant = turnTenantSchema.safeParse(parseJson(body));
    if (!tenant.success) {
      throw new UserError('INVALID_REQUEST', `tenant ${namespace} cannot be attached:\n${formatIssues(tenant.error)}`);
    }
    if (tenant.data.namespace !== namespace) {
      throw new UserError('INVALID_REQUEST', `the body names namespace ${tenant.data.namespace}, not ${namespace}`);
    }
    checkRelay(tenant.data, this.#server, interfaceAddresses());
    return this.#tenants.attach(tenant.data);
  }

  #certificate(method: string, name: string, body: string): InternalReply {
    const certificates = this.#certificates;
    if (certificates === undefined) {
      throw new UserError('CONFLICT', 'this server has no TLS listener', { hint: 'set tls in its configuration' });
    }
    if (method === 'DELETE') {
      if (certificates.delete(name)) return { status: 204 };
      throw new UserError('NOT_FOUND', `no certificate was handed over for ${name}`);
    }
    if (method !== 'PUT') throw new UserError('METHOD_NOT_ALLOWED', `${method} is not offered on certificates`);
    const pair = turnCertificateSchema.safeParse(parseJson(body));
    if (!pair.success) {
      throw new UserError(
        'INVALID_REQUEST',
        `the certificate of ${name} cannot be taken:\n${formatIssues(pair.error)}`,
      );
    }
    return { status: 200, body: certificates.put(name, pair.data) };
  }

  async #detach(namespace: string): Promise<InternalReply> {
    if (await this.#tenants.detach(namespace)) return { status: 204 };
    throw notAttached(namespace);
  }
}

/** The whole answer, or none where the engine behind the socket does not offer it. */
function answer(body: unknown): InternalReply | undefined {
  return body === undefined ? undefined : { status: 200, body };
}

/** A part of a path as it was meant; as it is when it cannot be decoded. */
function decodePathPart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function namespaceOf(name: string): string {
  const namespace = namespaceNameSchema.safeParse(name);
  if (namespace.success) return namespace.data;
  throw new UserError('INVALID_REQUEST', `"${name}" is not a namespace name`);
}

function notAttached(namespace: string): UserError {
  return new UserError('NAMESPACE_NOT_FOUND', `no tenant ${namespace} is attached`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError('INVALID_REQUEST', 'the body is not JSON');
  }
}

/** Whether somebody is behind the socket, too busy to take another connection perhaps. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EAGAIN'));
  });
}
