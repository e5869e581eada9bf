import { type InternalHandler, type InternalReply, issueTurnCredentials, OramaError } from '@orama/core';
import {
  CONTROLPLANE_API_PREFIX,
  createNamespaceSchema,
  disableWebrtcSchema,
  enableWebrtcSchema,
  namespaceNameSchema,
  operationQuerySchema,
  rotateSecretSchema,
  turnSettingsChangeSchema,
} from '@orama/protocol';
import { reportUsage } from '@orama/store';
import type { OperationContext } from '../operations/context.ts';
import { requireNamespace } from '../operations/context.ts';
import { disableWebrtc } from '../operations/disable-webrtc.ts';
import { enableWebrtc } from '../operations/enable-webrtc.ts';
import { createNamespace, deleteNamespace } from '../operations/namespaces.ts';
import { rotateSecret } from '../operations/rotate-secret.ts';
import { changeTurnSettings } from '../operations/turn-settings.ts';
import { namespaceTurnUris, openTurnSecrets } from '../reconcile/desired.ts';
import type { TaskPlan } from '../reconcile/engine.ts';
import { nodeRoutes } from './node-routes.ts';
import { reconcileRoutes } from './reconcile-routes.ts';
import { type Call, parseBody, parseInput, type Route } from './route.ts';
import { type TurnRouteOptions, turnRoutes } from './turn-routes.ts';
import { toClusterStatus, toNamespace, toOperation } from './views.ts';
import { webrtcStatusOf } from './webrtc-status.ts';

export interface RouteOptions {
  /** Throws STORE_UNAVAILABLE while the store has not been reached. */
  context: () => OperationContext;
  version: string;
  /** Called after a call that changed what is desired, so that this node begins at once. */
  onChange: () => void;
  /** What each task of this node would do now. */
  plans: () => Promise<TaskPlan[]>;
  /** What the routes of TURN servers work with. */
  turn: TurnRouteOptions;
}

/** The calls of protocol/internal/controlplane-api.ts, below their prefix. */
export function createRoutes({ context, version, onChange, plans, turn }: RouteOptions): InternalHandler {
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
      async ({ context, subjects }) => {
        await deleteNamespace(context, nameOf(subjects));
        return { status: 204 };
      },
    ],
    ['GET', /^\/namespaces\/([^/]+)\/webrtc$/, ({ context, subjects }) => showWebrtc(context, nameOf(subjects))],
    [
      'PATCH',
      /^\/namespaces\/([^/]+)\/webrtc$/,
      changing(async ({ context, subjects, body }) => ({
        status: 200,
        body: await changeTurnSettings(context, nameOf(subjects), parseBody(turnSettingsChangeSchema, body)),
      })),
    ],
    [
      'POST',
      /^\/namespaces\/([^/]+)\/webrtc\/enable$/,
      changing(async ({ context, subjects, body }) => ({
        status: 202,
        body: await enableWebrtc(context, nameOf(subjects), parseBody(enableWebrtcSchema, body)),
      })),
    ],
    [
      'POST',
      /^\/namespaces\/([^/]+)\/webrtc\/disable$/,
      changing(async ({ context, subjects, body }) => ({
        status: 202,
        body: await disableWebrtc(context, nameOf(subjects), parseBody(disableWebrtcSchema, body).requestedBy),
      })),
    ],
    [
      'POST',
      /^\/namespaces\/([^/]+)\/webrtc\/rotate-secret$/,
      changing(async ({ context, subjects, body }) => ({
        status: 202,
        body: await rotateSecret(context, nameOf(subjects), parseBody(rotateSecretSchema, body)),
      })),
    ],
    ['GET', /^\/namespaces\/([^/]+)\/usage$/, showUsage],
    ['POST', /^\/namespaces\/([^/]+)\/webrtc\/credentials$/, issueCredentials],
    ['GET', /^\/operations\/([^/]+)$/, ({ context, subjects }) => showOperation(context, subjects[0] ?? '')],
    ['GET', /^\/operations$/, listOperations],
    ...nodeRoutes(onChange),
    ...turnRoutes(turn),
    ...reconcileRoutes({ plans, peer: turn.peer }),
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
    const subjects = (pattern.exec(rest) ?? []).slice(1).map(decodeSegment);
    return answer({ context: context(), subjects, query, body });
  };
}

async function showCluster({ store, config }: OperationContext, version: string): Promise<InternalReply> {
  return { status: 200, body: toClusterStatus(config, version, await store.nodes.list()) };
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
    store.ports.listTakenBy(name),
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

async function showUsage({ context: { store, clock }, subjects, query }: Call): Promise<InternalReply> {
  const { name } = await requireNamespace(store, nameOf(subjects));
  return { status: 200, body: await reportUsage(store.usage, name, Object.fromEntries(query), clock.now()) };
}

/** TURN credentials of a namespace, for whoever holds the cluster key. */
async function issueCredentials({ context, subjects }: Call): Promise<InternalReply> {
  const { store, config, secrets, clock } = context;
  const { name } = await requireNamespace(store, nameOf(subjects));
  const settings = await store.webrtc.get(name);
  const opened = settings?.state === 'enabled' ? openTurnSecrets(settings, secrets, clock.now()) : null;
  if (!settings || !opened) {
    throw new OramaError('WEBRTC_NOT_ENABLED', `there are no TURN credentials for "${name}"`, {
      hint: `see what is missing: orama namespace webrtc-status --namespace ${name}`,
    });
  }
  const [ports, nodes, reports] = await Promise.all([
    store.ports.listOf(name),
    store.nodes.list(),
    store.reports.listOf(name),
  ]);
  const uris = namespaceTurnUris(config, name, { ports, nodes, reports });
  if (uris.length === 0) {
    const reasons = reports.flatMap(({ service, healthy, nodeId, reason, observed }) =>
      service === 'turn' && !healthy ? [`${nodeId}: ${reason ?? observed}`] : [],
    );
    throw new OramaError('UNAVAILABLE', `no TURN server serves namespace "${name}"`, {
      retryable: true,
      hint: [...reasons, `see its nodes: orama namespace webrtc-status --namespace ${name}`].join('; '),
    });
  }
  const credentials = issueTurnCredentials({
    secret: opened.current,
    namespace: name,
    ttlSec: settings.turnCredentialTtlSec,
    uris,
    nowMs: clock.now(),
  });
  return { status: 200, body: credentials };
}

/** The newest first. */
async function listOperations({ context: { store }, query }: Call): Promise<InternalReply> {
  const { limit, namespace } = parseInput(operationQuerySchema, Object.fromEntries(query), 'the query');
  const operations = await store.operations.listNewest(limit, namespace);
  return { status: 200, body: { operations: operations.map(toOperation) } };
}

async function showOperation({ store }: OperationContext, id: string): Promise<InternalReply> {
  const operation = await store.operations.get(id);
  if (!operation) throw new OramaError('OPERATION_NOT_FOUND', `there is no operation "${id}"`);
  return { status: 200, body: toOperation(operation) };
}

/** The namespace that a path names first. */
function nameOf([text = '']: readonly string[]): string {
  const name = namespaceNameSchema.safeParse(text);
  if (name.success) return name.data;
  throw new OramaError('INVALID_REQUEST', `"${text.slice(0, 64)}" is no namespace name`, {
    hint: name.error.issues[0]?.message ?? '',
  });
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
