import { type Clock, describeError, OramaError, systemClock } from '@orama/core';
import {
  type ClusterFacts,
  type ClusterReport,
  type ClusterStatus,
  type CreatedOperatorToken,
  type CreateOperatorToken,
  clusterFactsSchema,
  clusterReportSchema,
  clusterStatusSchema,
  createdNamespaceSchema,
  createdOperatorTokenSchema,
  type DrainNode,
  type EnableWebrtc,
  type Invitation,
  type InvitationView,
  type Invite,
  invitationListSchema,
  invitationSchema,
  type LeaseView,
  leaseListSchema,
  type Namespace,
  type NodeChanged,
  type NodeDrain,
  type NodeFacts,
  type NodePlan,
  type NodeReport,
  type NodeTurn,
  type NodeView,
  namespaceListSchema,
  nodeChangedSchema,
  nodeFactsSchema,
  nodeListSchema,
  nodePlanSchema,
  nodeReportSchema,
  nodeTurnSchema,
  type Operation,
  type OperationStarted,
  type OperatorTokenView,
  operationListSchema,
  operationSchema,
  operationStartedSchema,
  operatorTokenListSchema,
  type RemoveNode,
  type RotateSecret,
  type SomeTurnSettings,
  type TurnCredentials,
  type TurnPeerVerdict,
  type TurnSettingsChanged,
  turnCredentialsSchema,
  turnPeerVerdictSchema,
  turnSettingsChangedSchema,
  type Usage,
  type UsageQuery,
  usageSchema,
  type WebrtcStatus,
  webrtcStatusSchema,
} from '@orama/protocol';
import { z } from 'zod';
import { CallTimeoutError, type HttpAnswer } from '../http-call.ts';
import { errorOfAnswer } from './error-of-answer.ts';
import { OperatorWay, SignedWay, type Way, type WayCall } from './way.ts';

export { DaemonUnreachableError } from './way.ts';

/** Straight to controlplanes, of which `endpoints` are base URLs such as `http://127.77.0.1:6001`; or through a gateway. */
type Access =
  | { endpoints: readonly string[]; clusterKey: string /** What to do where none answers. */; startHint?: string }
  | { gateway: string; token: string };

export type ControlplaneClientOptions = Access & {
  /** Who asks, for the history of operations; at most 128 characters. */
  requestedBy?: string;
  /** Milliseconds one call may take. */
  timeoutMs?: number;
  clock?: Clock;
};

export type CreatedNamespace = z.infer<typeof createdNamespaceSchema>;

const nothingSchema = z.undefined();

/** A question is asked elsewhere when there is no answer by then. */
const PATIENCE_MS = 3_000;
/** About a node it is handed on, and a node that does not answer is told by its name: later than that. */
const NODE_PATIENCE_MS = 6_000;
/** A report waits for all nodes, and looks at its own as well. */
const REPORT_PATIENCE_MS = 9_000;

const START_HINT = 'on its node: systemctl status orama-controlplane; or check the address of the controlplane';

/** Calls the controlplane API. Every method throws DaemonUnreachableError, or OramaError with the code of the answer. */
export class ControlplaneClient {
  readonly #way: Way;
  readonly #asker: { requestedBy?: string };
  readonly #timeoutMs: number;

  constructor(options: ControlplaneClientOptions) {
    this.#way =
      'gateway' in options
        ? new OperatorWay(options.gateway, options.token)
        : new SignedWay(
            options.endpoints,
            options.clusterKey,
            options.clock ?? systemClock,
            options.startHint ?? START_HINT,
          );
    this.#asker = options.requestedBy === undefined ? {} : { requestedBy: options.requestedBy };
    this.#timeoutMs = options.timeoutMs ?? 15_000;
  }

  cluster(): Promise<ClusterStatus> {
    return this.#call('GET', '/cluster', clusterStatusSchema);
  }

  async namespaces(): Promise<Namespace[]> {
    return (await this.#call('GET', '/namespaces', namespaceListSchema)).namespaces;
  }

  /** Throws NAMESPACE_EXISTS. The API key in the answer is shown only here. */
  createNamespace(name: string, owner?: string): Promise<CreatedNamespace> {
    return this.#call('POST', '/namespaces', createdNamespaceSchema, { name, ...(owner !== undefined && { owner }) });
  }

  /** Throws NAMESPACE_NOT_FOUND, NAMESPACE_HAS_WEBRTC. */
  async deleteNamespace(name: string): Promise<void> {
    await this.#call('DELETE', `/namespaces/${encodeURIComponent(name)}`, nothingSchema);
  }

  /** Begins to enable WebRTC; follow the operation. Throws as operations/enable-webrtc.ts says. */
  enableWebrtc(name: string, options: Partial<EnableWebrtc> = {}): Promise<OperationStarted> {
    return this.#call('POST', `${webrtcPath(name)}/enable`, operationStartedSchema, { ...this.#asker, ...options });
  }

  /** Begins to disable WebRTC; follow the operation. Throws NAMESPACE_NOT_FOUND. */
  disableWebrtc(name: string): Promise<OperationStarted> {
    return this.#call('POST', `${webrtcPath(name)}/disable`, operationStartedSchema, this.#asker);
  }

  /** Begins to rotate the TURN secret; follow the operation. Throws as operations/rotate-secret.ts says. */
  rotateSecret(name: string, options: Partial<RotateSecret> = {}): Promise<OperationStarted> {
    return this.#call('POST', `${webrtcPath(name)}/rotate-secret`, operationStartedSchema, {
      ...this.#asker,
      ...options,
    });
  }

  /** Changes the settings that are given. Throws as operations/turn-settings.ts says. */
  changeTurnSettings(name: string, change: SomeTurnSettings): Promise<TurnSettingsChanged> {
    return this.#call('PATCH', webrtcPath(name), turnSettingsChangedSchema, { ...this.#asker, ...change });
  }

  webrtcStatus(name: string): Promise<WebrtcStatus> {
    return this.#call('GET', webrtcPath(name), webrtcStatusSchema);
  }

  /** What the namespace used, by hour. Throws NAMESPACE_NOT_FOUND, INVALID_REQUEST. */
  usage(name: string, query: UsageQuery = {}): Promise<Usage> {
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const search = new URLSearchParams(given).toString();
    return this.#call('GET', `/namespaces/${encodeURIComponent(name)}/usage${search && `?${search}`}`, usageSchema);
  }

  /** TURN credentials of the namespace, as its clients get them. Throws NAMESPACE_NOT_FOUND, WEBRTC_NOT_ENABLED. */
  turnCredentials(name: string): Promise<TurnCredentials> {
    return this.#call('POST', `${webrtcPath(name)}/credentials`, turnCredentialsSchema, {});
  }

  async nodes(): Promise<NodeView[]> {
    return (await this.#call('GET', '/nodes', nodeListSchema)).nodes;
  }

  /** Begins to take everything off a node; follow the operation. Throws as operations/nodes.ts says, like the next three. */
  drainNode(node: string, options: Partial<DrainNode> = {}): Promise<OperationStarted> {
    return this.#call('POST', `${nodePath(node)}/drain`, operationStartedSchema, { ...this.#asker, ...options });
  }

  /** Lets a drained node take part again. */
  resumeNode(node: string): Promise<NodeChanged> {
    return this.#call('POST', `${nodePath(node)}/resume`, nodeChangedSchema, this.#asker);
  }

  /** Lets a removed node take part again. */
  readmitNode(node: string): Promise<NodeChanged> {
    return this.#call('POST', `${nodePath(node)}/readmit`, nodeChangedSchema, this.#asker);
  }

  /** Takes a node out of the cluster for good. */
  removeNode(node: string, options: Partial<RemoveNode> = {}): Promise<NodeChanged> {
    return this.#call('POST', `${nodePath(node)}/remove`, nodeChangedSchema, { ...this.#asker, ...options });
  }

  /** Opens the cluster for one machine. Throws CONFLICT. */
  invite(options: Partial<Invite> = {}): Promise<Invitation> {
    return this.#call('POST', '/invitations', invitationSchema, { ...this.#asker, ...options });
  }

  async invitations(): Promise<InvitationView[]> {
    return (await this.#call('GET', '/invitations', invitationListSchema)).invitations;
  }

  /** Throws NOT_FOUND. */
  async revokeInvitation(id: string): Promise<void> {
    await this.#call('POST', `/invitations/${encodeURIComponent(id)}/revoke`, nothingSchema, this.#asker);
  }

  /** The TURN server of a node. Throws NOT_FOUND, or UNAVAILABLE when the node does not answer. */
  nodeTurn(node: string): Promise<NodeTurn> {
    return this.#call('GET', nodeTurnPath(node), nodeTurnSchema);
  }

  /** Begins to drain the TURN server of a node; throws as `nodeTurn`, and UNAVAILABLE when there is none to drain. */
  drainTurn(node: string, drain: NodeDrain = {}): Promise<NodeTurn> {
    return this.#call('POST', `${nodeTurnPath(node)}/drain`, nodeTurnSchema, drain);
  }

  /** Lets the TURN server of a node run again after a drain. */
  resumeTurn(node: string): Promise<NodeTurn> {
    return this.#call('POST', `${nodeTurnPath(node)}/resume`, nodeTurnSchema, {});
  }

  /** Which rule of a node's TURN server lets the namespace's clients reach a peer, or does not. */
  explainPeer(node: string, namespace: string, ip: string, port?: number): Promise<TurnPeerVerdict> {
    const tenant = `${nodeTurnPath(node)}/tenants/${encodeURIComponent(namespace)}`;
    const search = port === undefined ? '' : `?port=${port}`;
    return this.#call('GET', `${tenant}/peers/${encodeURIComponent(ip)}${search}`, turnPeerVerdictSchema);
  }

  /**
   * Sends a call as it is; for a controlplane that hands it on. Throws when there is no answer.
   * @param authorization of the operator who asks, where it is one
   */
  forward(method: string, path: string, body: string, authorization?: string): Promise<HttpAnswer> {
    return this.#send({ method, path, body, authorization });
  }

  /** How the cluster is, as its nodes tell it. */
  monitor(): Promise<ClusterReport> {
    return this.#call('GET', '/monitor', clusterReportSchema);
  }

  /** How the node is that is asked. */
  ownReport(): Promise<NodeReport> {
    return this.#call('GET', '/monitor/node', nodeReportSchema);
  }

  async operatorTokens(): Promise<OperatorTokenView[]> {
    return (await this.#call('GET', '/operator-tokens', operatorTokenListSchema)).tokens;
  }

  /** Throws CONFLICT. The token in the answer is shown only here. */
  createOperatorToken(
    request: Pick<CreateOperatorToken, 'name'> & Partial<CreateOperatorToken>,
  ): Promise<CreatedOperatorToken> {
    return this.#call('POST', '/operator-tokens', createdOperatorTokenSchema, { ...this.#asker, ...request });
  }

  /** Throws NOT_FOUND. */
  async revokeOperatorToken(name: string): Promise<void> {
    await this.#call('POST', `/operator-tokens/${encodeURIComponent(name)}/revoke`, nothingSchema, this.#asker);
  }

  /** The operations that began last, the newest first. */
  async operations(query: { namespace?: string | undefined; limit?: number } = {}): Promise<Operation[]> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
    return (await this.#call('GET', `/operations?${search}`, operationListSchema)).operations;
  }

  async leases(): Promise<LeaseView[]> {
    return (await this.#call('GET', '/leases', leaseListSchema)).leases;
  }

  /** What the tasks of a node would do now. Throws NOT_FOUND, or UNAVAILABLE when the node does not answer. */
  nodePlan(node: string): Promise<NodePlan> {
    return this.#call('GET', `/nodes/${encodeURIComponent(node)}/plan`, nodePlanSchema);
  }

  /** A node as its controlplane sees it now. Throws NOT_FOUND, or UNAVAILABLE when the node does not answer. */
  nodeFacts(node: string): Promise<NodeFacts> {
    return this.#call('GET', `${nodePath(node)}/inspection`, nodeFactsSchema);
  }

  /** What the store says must be. */
  clusterFacts(): Promise<ClusterFacts> {
    return this.#call('GET', '/inspection/cluster', clusterFactsSchema);
  }

  /** Throws OPERATION_NOT_FOUND. */
  operation(id: string): Promise<Operation> {
    return this.#call('GET', `/operations/${encodeURIComponent(id)}`, operationSchema);
  }

  async #call<S extends z.ZodType>(method: string, path: string, schema: S, body?: object): Promise<z.output<S>> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const { status, body: answer } = await this.#send({ method, path, body: text });
    if (status < 200 || status >= 300) throw errorOfAnswer(status, answer);
    try {
      return schema.parse(answer === '' ? undefined : JSON.parse(answer));
    } catch (thrown) {
      throw new OramaError('INTERNAL', `the controlplane's answer to ${method} ${path} cannot be read`, {
        cause: thrown,
        hint: 'the CLI and the controlplane may be of different versions',
      });
    }
  }

  /**
   * Asks one endpoint after the other. What changes something goes on to the next only when there was no connection, so
   * that nothing is done twice; a question does so too when there is no answer.
   */
  async #send(call: Omit<WayCall, 'timeoutMs'>): Promise<HttpAnswer> {
    const { endpoints } = this.#way;
    let last: unknown;
    for (const [index, endpoint] of endpoints.entries()) {
      const mayAskAgain = call.method === 'GET' && index < endpoints.length - 1;
      const timeoutMs = mayAskAgain ? Math.min(this.#timeoutMs, patienceMs(call.path)) : this.#timeoutMs;
      try {
        return await this.#way.send(endpoint, { ...call, timeoutMs });
      } catch (thrown) {
        last = thrown;
        if (mayAskAgain) continue;
        if (thrown instanceof CallTimeoutError) {
          throw new OramaError('TIMEOUT', `the controlplane at ${endpoint} gave ${describeError(thrown)}`, {
            cause: thrown,
            retryable: true,
            hint: 'run the command again; if it stays so, look into the log of the controlplane',
          });
        }
        if (!neverConnected(thrown)) break;
      }
    }
    throw this.#way.unreachable(last);
  }
}

function patienceMs(path: string): number {
  if (path === '/monitor') return REPORT_PATIENCE_MS;
  return path.startsWith('/nodes/') ? NODE_PATIENCE_MS : PATIENCE_MS;
}

function nodePath(node: string): string {
  return `/nodes/${encodeURIComponent(node)}`;
}

function nodeTurnPath(node: string): string {
  return `${nodePath(node)}/turn`;
}

function webrtcPath(name: string): string {
  return `/namespaces/${encodeURIComponent(name)}/webrtc`;
}

/** Whether there was no connection, so that the request cannot have been received. */
function neverConnected(thrown: unknown): boolean {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  return ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'ETIMEDOUT'].includes(code);
}
