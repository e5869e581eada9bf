import { type InternalHandler, type InternalReply, issueTurnCredentials, OramaError } from '@orama/core';
import {
  CONTROLPLANE_API_PREFIX,
  createNamespaceSchema,
  disableWebrtcSchema,
  enableWebrtcSchema,
  type NodeFacts,
  namespaceNameSchema,
  OPERATOR_API_PREFIX,
  operationQuerySchema,
  rotateSecretSchema,
  turnSettingsChangeSchema,
} from '@orama/protocol';
import { type NodeRow, reportUsage, type ServiceReportRow } from '@orama/store';
import type { Monitor } from '../monitor/monitor.ts';
import type { OperationContext } from '../operations/context.ts';
import { requireNamespace } from '../operations/context.ts';
import { disableWebrtc } from '../operations/disable-webrtc.ts';
import { enableWebrtc } from '../operations/enable-webrtc.ts';
import { createNamespace, deleteNamespace } from '../operations/namespaces.ts';
import { rotateSecret } from '../operations/rotate-secret.ts';
import { changeTurnSettings } from '../operations/turn-settings.ts';
import { namespaceTurnUris, openTurnSecrets } from '../reconcile/desired.ts';
import type { TaskPlan } from '../reconcile/engine.ts';
import { inspectionRoutes } from './inspection-routes.ts';
import { invitationRoutes } from './invitation-routes.ts';
import { monitorRoutes } from './monitor-routes.ts';
import { nodeRoutes } from './node-routes.ts';
import { authenticateOperator, requireScope } from './operator-access.ts';
import { operatorTokenRoutes } from './operator-token-routes.ts';
import { reconcileRoutes } from './reconcile-routes.ts';
import { actorOf, type Call, parseBody, parseInput, type Route } from './route.ts';
import { type TurnRouteOptions, turnRoutes } from './turn-routes.ts';
import { toClusterStatus, toNamespace, toOperation } from './views.ts';
import { webrtcStatusOf } from './webrtc-status.ts';

/** How often a new controlplane looks whether what it waits for has come. */
const NEWS_MS = 100;

export interface RouteOptions {
  /** Whether a report tells of now: not what stands in the store from before a power loss. */
  isCurrent: (report: ServiceReportRow) => boolean;
  /** Whether this controlplane has only just begun: what it has not heard of yet may be about to come. */
  isNew: () => boolean;
  /** Throws STORE_UNAVAILABLE while the store has not been reached. */
  context: () => OperationContext;
  version: string;
  clusterKey: string;
  /** Called after a call that changed what is desired, so that this node begins at once. */
  onChange: () => void;
  /** What each task of this node would do now. */
  plans: () => Promise<TaskPlan[]>;
  /** What is seen of this node now. */
  nodeFacts: () => Promise<NodeFacts>;
  monitor: Pick<Monitor, 'node' | 'cluster'>;
  /** What the routes of TURN servers work with. */
  turn: TurnRouteOptions;
}

/** The calls of protocol/internal/controlplane-api.ts, below their prefix, and those of them that a token may make. */
export function createRoutes({
  isCurrent,
  isNew,
  context,
  version,
  clusterKey,
  onChange,
  plans,
  nodeFacts,
  monitor,
  turn,
}: RouteOptions): InternalHandler {
  const changing = (answer: (call: Call) => Promise<InternalReply>) => async (call: Call) => {
    const reply = await answer(call);
    onChange();
    return reply;
  };
  const routes: Route[] = [
    ['GET', /^\/cluster$/, ({ context }) => showCluster(context, version), 'viewer'],
    ['GET', /^\/namespaces$/, ({ context }) => listNamespaces(context), 'viewer'],
    [
      'POST',
      /^\/namespaces$/,
      async (call) => ({
        status: 201,
        body: await createNamespace(call.context, parseBody(createNamespaceSchema, call), actorOf(call)),
      }),
      'operator',
    ],
    [
      'DELETE',
      /^\/namespaces\/([^/]+)$/,
      async (call) => {
        await deleteNamespace(call.context, nameOf(call.subjects), actorOf(call));
        return { status: 204 };
      },
      'operator',
    ],
    [
      'GET',
      /^\/namespaces\/([^/]+)\/webrtc$/,
      ({ context, subjects }) => showWebrtc(context, nameOf(subjects), { isCurrent, isNew }),
      'viewer',
    ],
    [
      'PATCH',
      /^\/namespaces\/([^/]+)\/webrtc$/,
      changing(async (call) => ({
        status: 200,
        body: await changeTurnSettings(call.context, nameOf(call.subjects), parseBody(turnSettingsChangeSchema, call)),
      })),
      'operator',
    ],
    [
      'POST',
      /^\/namespaces\/([^/]+)\/webrtc\/enable$/,
      changing(async (call) => ({
        status: 202,
        body: await enableWebrtc(call.context, nameOf(call.subjects), parseBody(enableWebrtcSchema, call)),
      })),
      'operator',
    ],
    [
      'POST',
      /^\/namespaces\/([^/]+)\/webrtc\/disable$/,
      changing(async (call) => ({
        status: 202,
        body: await disableWebrtc(
          call.context,
          nameOf(call.subjects),
          parseBody(disableWebrtcSchema, call).requestedBy,
        ),
      })),
      'operator',
    ],
    [
      'POST',
      /^\/namespaces\/([^/]+)\/webrtc\/rotate-secret$/,
      changing(async (call) => ({
        status: 202,
        body: await rotateSecret(call.context, nameOf(call.subjects), parseBody(rotateSecretSchema, call)),
      })),
      'operator',
    ],
    ['GET', /^\/namespaces\/([^/]+)\/usage$/, showUsage, 'viewer'],
    ['POST', /^\/namespaces\/([^/]+)\/webrtc\/credentials$/, issueCredentials, 'operator'],
    ['GET', /^\/operations\/([^/]+)$/, ({ context, subjects }) => showOperation(context, subjects[0] ?? ''), 'viewer'],
    ['GET', /^\/operations$/, listOperations, 'viewer'],
    ...monitorRoutes(monitor),
    ...operatorTokenRoutes(),
    ...invitationRoutes(clusterKey, onChange),
    ...nodeRoutes(onChange),
    ...turnRoutes(turn),
    ...reconcileRoutes({ plans, peer: turn.peer }),
    ...inspectionRoutes({ nodeFacts, peer: turn.peer }),
  ];

  return async ({ method, path, query, body, headers }) => {
    const isOutside = path.startsWith(`${OPERATOR_API_PREFIX}/`);
    const prefix = isOutside ? OPERATOR_API_PREFIX : CONTROLPLANE_API_PREFIX;
    if (!path.startsWith(`${prefix}/`)) return undefined;
    const operator = isOutside ? await authenticateOperator(context(), headers.authorization) : null;
    const rest = path.slice(prefix.length);
    const matching = routes.filter(([, pattern]) => pattern.test(rest));
    const route = matching.find(([wanted]) => wanted === method);
    if (!route) {
      if (matching.length === 0) return undefined;
      throw new OramaError('METHOD_NOT_ALLOWED', `${path} does not take ${method}`);
    }
    const [, pattern, answer, scope] = route;
    if (operator) requireScope(operator, scope);
    const subjects = (pattern.exec(rest) ?? []).slice(1).map(decodeSegment);
    return answer({ context: context(), subjects, query, body, operator });
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

async function showWebrtc(
  { store, config, clock }: OperationContext,
  name: string,
  { isCurrent, isNew }: Pick<RouteOptions, 'isCurrent' | 'isNew'>,
): Promise<InternalReply> {
  await requireNamespace(store, name);
  const [reports, nodes] = await currentReports();
  const [settings, allocations, dns, rooms, operation] = await Promise.all([
    store.webrtc.get(name),
    store.ports.listTakenBy(name),
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

  /** All that are left out are so because nothing came, not because nothing had the time to. */
  async function currentReports(): Promise<[ServiceReportRow[], NodeRow[]]> {
    for (;;) {
      const [reports, nodes] = await Promise.all([store.reports.listOf(name), store.nodes.list()]);
      const current = reports.filter(isCurrent);
      const lost = new Set(nodes.filter(({ reachable }) => !reachable).map(({ id }) => id));
      const isAwaited = reports.some((report) => !current.includes(report) && !lost.has(report.nodeId));
      if (!isAwaited || !isNew()) return [current, nodes];
      await new Promise<void>((resolve) => void clock.after(NEWS_MS, resolve));
    }
  }
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
