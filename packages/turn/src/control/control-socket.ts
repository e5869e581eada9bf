import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
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
import { namespaceNameSchema, turnCertificateSchema, turnTenantSchema } from '@orama/protocol';
import type { CertificateStore } from '../certificates/certificate-store.ts';
import { checkRelayAddresses, interfaceAddresses } from '../server/node-addresses.ts';
import type { TenantRegistry } from '../tenant/registry.ts';

const TENANT_PATH = /^\/tenants\/([^/]+)$/;
const CERTIFICATE_PATH = /^\/certificates\/([^/]+)$/;

/** What the socket attaches tenants to. */
export type TenantTable = Pick<TenantRegistry, 'list' | 'attach' | 'detach'>;

/**
 * HTTP over a Unix socket that only its owner may open: `PUT /tenants/<ns>` attaches or reloads a tenant and answers
 * with its status, `DELETE /tenants/<ns>` detaches it and answers 204 when its sockets are closed (404 when there was
 * none), `GET /tenants` lists. `PUT /certificates/<name>` takes the TLS certificate of a host name and answers with its
 * status, `DELETE` forgets it.
 */
export class ControlSocket {
  readonly #path: string;
  readonly #tenants: TenantTable;
  readonly #certificates: CertificateStore | undefined;
  readonly #server: Server;

  constructor(options: {
    path: string;
    tenants: TenantTable;
    /** None where there is no TLS listener. */
    certificates?: CertificateStore | undefined;
    logger: Logger;
  }) {
    this.#path = options.path;
    this.#tenants = options.tenants;
    this.#certificates = options.certificates;
    this.#server = createInternalServer((request) => this.#handle(request), options.logger);
  }

  /** Throws a ConfigError when another server answers on the socket. */
  async start(): Promise<void> {
    if (await isAnswered(this.#path)) {
      throw new ConfigError(`control socket ${this.#path} is in use by another TURN server`);
    }
    rmSync(this.#path, { force: true });
    const mask = process.umask(0o177);
    try {
      await listen(this.#server, { path: this.#path });
    } finally {
      process.umask(mask);
    }
    chmodSync(this.#path, 0o600);
  }

  async close(): Promise<void> {
    await closeServer(this.#server);
  }

  async #handle({ method, path, body }: InternalRequest): Promise<InternalReply | undefined> {
    if (path === '/tenants' && method === 'GET') return { status: 200, body: { tenants: this.#tenants.list() } };
    const host = CERTIFICATE_PATH.exec(path)?.[1];
    if (host !== undefined) return this.#certificate(method, host, body);
    const name = TENANT_PATH.exec(path)?.[1];
    if (name === undefined) return undefined;
    const namespace = namespaceNameSchema.safeParse(name);
    if (!namespace.success) throw new UserError('INVALID_REQUEST', `"${name}" is not a namespace name`);
    if (method === 'PUT') return { status: 200, body: await this.#attach(namespace.data, body) };
    if (method === 'DELETE') return this.#detach(namespace.data);
    throw new UserError('METHOD_NOT_ALLOWED', `${method} is not offered on ${path}`);
  }

  async #attach(namespace: string, body: string) {
    const tenant = turnTenantSchema.safeParse(parseJson(body));
    if (!tenant.success) {
      throw new UserError('INVALID_REQUEST', `tenant ${namespace} cannot be attached:\n${formatIssues(tenant.error)}`);
    }
    if (tenant.data.namespace !== namespace) {
      throw new UserError('INVALID_REQUEST', `the body names namespace ${tenant.data.namespace}, not ${namespace}`);
    }
    checkRelayAddresses(tenant.data.relay, interfaceAddresses());
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
    throw new UserError('NAMESPACE_NOT_FOUND', `no tenant ${namespace} is attached`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError('INVALID_REQUEST', 'the body is not JSON');
  }
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
