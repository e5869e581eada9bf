import { formatIssues, type InternalHandler, type InternalReply, OramaError } from '@orama/core';
import {
  CONTROLPLANE_API_PREFIX,
  createNamespaceSchema,
  enableWebrtcSchema,
  namespaceNameSchema,
  turnSettingsChangeSchema,
} from '@orama/protocol';
import { reportUsage } from '@orama/store';
import type { z } from 'zod';
import type { OperationContext } from '../operations/context.ts';
import { requireNamespace } from '../operations/context.ts';
import { disableWebrtc } from '../operations/disable-webrtc.ts';
import { enableWebrtc } from '../operations/enable-webrtc.ts';
import { createNamespace, deleteNamespace } from '../operations/namespaces.ts';
import { changeTurnSettings } from '../operations/turn-settings.ts';
import { toClusterStatus, toNamespace, toOperation } from './views.ts';
import { webrtcStatusOf } from './webrtc-status.ts';

export interface RouteOptions {
  /** Throws STORE_UNAVAILABLE while the store has not been reached. */
  context: () => OperationContext;
  version: string;
  /** Called after a call that changed what is desired, so that this node begins at once. */
  onChange: () => void;
}

interface Call {
  context: OperationContext;
  /** Segment of the path that the pattern captured. */
  subject: string;
  query: URLSearchParams;
  body: string;
}

type Route = [method: string, pattern: RegExp, answer: (call: Call) => Promise<InternalReply>];

/** The calls of protocol/internal/controlplane-api.ts, below their prefix. */
export function createRoutes({ context, version, onChange }: RouteOptions): InternalHandler {
  const changing = (answer: (call: Call) => Promise<InternalReply>) => async (call: Call) => {
    const reply = await answer(call);
    onChange();
    return reply;
  };
  const routes: Route[] = [
    ['GET', /^\/cluster$/, ({ context }) => showCluster(context, version)],
    ['GET', /^\/namespaces$/, ({ context }) => listNamespaces(context)],
    [
      'POST',
      /^\/namespaces$/,
      async ({ context, body }) => ({
        status: 201,
        body: await createNamespace(context, parseBody(createNamespaceSchema, body)),
      }),
    ],
    [
      'DELETE',
      /^\/namespaces\/([^/]+)$/,
      async ({ context, subject }) => {
        await deleteNamespace(context, parseName(subject));
        return { status: 204 };
      },
    ],
    ['GET', /^\/namespaces\/([^/]+)\/webrtc$/, ({ context, subject }) => showWebrtc(context, parseName(subject))],
    [
      'PATCH',
      /^\/namespaces\/([^/]+)\/webrtc$/,
      changing(async ({ context, subject, body }) => ({
        status: 200,
        body: await changeTurnSettings(context, parseName(subject), parseBody(turnSettingsChangeSchema, body)),
      })),
    ],
    [
      'POST',
      /^\/namespaces\/([^/]+)\/webrtc\/enable$/,
      changing(async ({ context, subject, body }) => ({
        status: 202,
        body: await enableWebrtc(context, parseName(subject), parseBody(enableWebrtcSchema, body)),
      })),
    ],
    [
      'POST',
      /^\/namespaces\/([^/]+)\/webrtc\/disable$/,
      changing(async ({ context, subject }) => ({
        status: 202,
        body: await disableWebrtc(context, parseName(subject)),
      })),
    ],
    ['GET', /^\/namespaces\/([^/]+)\/usage$/, showUsage],
    ['GET', /^\/operations\/([^/]+)$/, ({ context, subject }) => showOperation(context, subject)],
  ];

  return async ({ method, path, query, body }) => {
    if (!path.startsWith(`${CONTROLPLANE_API_PREFIX}/`)) return undefined;
    const rest = path.slice(CONTROLPLANE_API_PREFIX.length);
    const matching = routes.filter(([, pattern]) => pattern.test(rest));
    const route = matching.find(([wanted]) => wanted === method);
    if (!route) {
      if (matching.length === 0) return undefined;
      throw new OramaError('METHOD_NOT_ALLOWED', `${path} does not take ${method}`);
    }
    const [, pattern, answer] = route;
    return answer({ context: context(), subject: decodeSegment(pattern.exec(rest)?.[1] ?? ''), query, body });
  };
}

async function showCluster({ store, config, clock }: OperationContext, version: string): Promise<InternalReply> {
  return { status: 200, body: toClusterStatus(config, version, await store.nodes.list(), clock.now()) };
}

async function listNamespaces({ store }: OperationContext): Promise<InternalReply> {
  const settings = new Map((await store.webrtc.list()).map((row) => [row.namespace, row]));
  const namespaces = (await store.namespaces.list()).map((row) => toNamespace(row, settings.get(row.name) ?? null));
  return { status: 200, body: { namespaces } };
}

async function showWebrtc({ store, config, clock }: OperationContext, name: string): Promise<InternalReply> {
  await requireNamespace(store, name);
  const [settings, allocations, reports, nodes, dns, rooms, operation] = await Promise.all([
    store.webrtc.get(name),
    store.ports.listOf(name),
    store.reports.listOf(name),
    store.nodes.list(),
    store.dns.list(),
    store.rooms.listOf(name),
    store.operations.runningOf(name),
  ]);
  const status = webrtcStatusOf(config, {
    namespace: name,
    settings,
    allocations,
    reports,
    nodes,
    dns: dns.filter((record) => record.namespace === name),
    rooms: rooms.length,
    operation,
    nowMs: clock.now(),
  });
  return { status: 200, body: status };
}

async function showUsage({ context: { store, clock }, subject, query }: Call): Promise<InternalReply> {
  const { name } = await requireNamespace(store, parseName(subject));
  return { status: 200, body: await reportUsage(store.usage, name, Object.fromEntries(query), clock.now()) };
}

async function showOperation({ store }: OperationContext, id: string): Promise<InternalReply> {
  const operation = await store.operations.get(id);
  if (!operation) throw new OramaError('OPERATION_NOT_FOUND', `there is no operation "${id}"`);
  return { status: 200, body: toOperation(operation) };
}

function parseName(text: string): string {
  const name = namespaceNameSchema.safeParse(text);
  if (name.success) return name.data;
  throw new OramaError('INVALID_REQUEST', `"${text.slice(0, 64)}" is no namespace name`, {
    hint: name.error.issues[0]?.message ?? '',
  });
}

/** Parses a JSON body; none counts as an empty object. Throws INVALID_REQUEST with every problem and its path. */
function parseBody<S extends z.ZodType>(schema: S, body: string): z.output<S> {
  let value: unknown;
  try {
    value = body === '' ? {} : JSON.parse(body);
  } catch (thrown) {
    throw new OramaError('INVALID_REQUEST', 'the body is not JSON', { cause: thrown });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new OramaError('INVALID_REQUEST', `the body cannot be used:\n${formatIssues(parsed.error)}`);
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
