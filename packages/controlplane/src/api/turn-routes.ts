import type { InternalReply } from '@orama/core';
import {
  type NodeTurn,
  namespaceNameSchema,
  nodeDrainSchema,
  turnPeerQuerySchema,
  turnPeerVerdictSchema,
  turnServerStatusSchema,
  turnTenantListSchema,
} from '@orama/protocol';
import { auditStatement } from '@orama/store';
import { z } from 'zod';
import { turnSocketOf } from '../node-context.ts';
import type { OperationContext } from '../operations/context.ts';
import type { HeldUnits } from '../services/held-units.ts';
import { TURN_UNIT } from '../services/service-manager.ts';
import { callTurn, TurnDownError } from '../turn-control.ts';
import { forward, type PeerOf } from './forward.ts';
import { actorOf, type Call, parseBody, parseInput, type Route } from './route.ts';
import { toTurnServerView } from './views.ts';

export interface TurnRouteOptions {
  held: HeldUnits;
  peer: PeerOf;
  /** Called when the TURN server may be started again. */
  onRelease: () => void;
}

/** The TURN server of this node, below `/turn`, and that of any node, below `/nodes/<id>/turn`. */
export function turnRoutes({ held, peer, onRelease }: TurnRouteOptions): Route[] {
  return [
    ['GET', /^\/turn$/, async ({ context }) => ({ status: 200, body: await turnOf(context, held) }), 'viewer'],
    [
      'POST',
      /^\/turn\/drain$/,
      async (call) => {
        await drain(call, held);
        return { status: 202, body: await turnOf(call.context, held) };
      },
      'operator',
    ],
    [
      'POST',
      /^\/turn\/resume$/,
      async (call) => {
        await held.release(TURN_UNIT);
        onRelease();
        await audit(call, 'resume-turn');
        return { status: 200, body: await turnOf(call.context, held) };
      },
      'operator',
    ],
    ['GET', /^\/turn\/tenants\/([^/]+)\/peers\/([^/]+)$/, explainPeer, 'viewer'],
    ...(['GET', 'POST'] as const).map(
      (method): Route => [
        method,
        /^\/nodes\/([^/]+)(\/turn(?:\/.*)?)$/,
        (call) => forward(call, method, peer),
        method === 'GET' ? 'viewer' : 'operator',
      ],
    ),
  ];
}

async function turnOf(context: OperationContext, held: HeldUnits, isSecondLook = false): Promise<NodeTurn> {
  const { config } = context;
  const base = { node: config.node, held: held.has(TURN_UNIT) };
  try {
    const server = await callTurn(turnSocketOf(config), turnServerStatusSchema, 'GET', '/status');
    const { tenants } = await callTurn(turnSocketOf(config), turnTenantListSchema, 'GET', '/tenants');
    return {
      ...base,
      server: toTurnServerView(server),
      tenants: tenants.map(({ namespace, generation, allocations }) => ({ namespace, generation, allocations })),
    };
  } catch (thrown) {
    if (thrown instanceof TurnDownError) return { ...base, server: null, tenants: [] };
    // A server that was drained ends while it is asked; the next look finds none, or another one.
    if (wasReset(thrown) && !isSecondLook) return turnOf(context, held, true);
    throw thrown;
  }
}

function wasReset(thrown: unknown): boolean {
  const cause = thrown instanceof Error ? (thrown.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.code === 'ECONNRESET' || cause?.code === 'EPIPE';
}

/** Begins a drain. A server that is to stay down afterwards is held before it can end. */
async function drain(call: Call, held: HeldUnits): Promise<void> {
  const { config } = call.context;
  const { restart, ...request } = parseBody(nodeDrainSchema, call);
  await audit(call, restart ? 'restart-turn' : 'drain-turn');
  const wasHeld = held.has(TURN_UNIT);
  if (restart) await held.release(TURN_UNIT);
  else await held.hold(TURN_UNIT);
  try {
    await callTurn(turnSocketOf(config), z.unknown(), 'POST', '/drain', request);
  } catch (thrown) {
    // Held, and gone already: that is what was asked for.
    if (thrown instanceof TurnDownError && !restart && wasHeld) return;
    if (!wasHeld) await held.release(TURN_UNIT);
    throw thrown;
  }
}

async function audit(call: Call, action: string): Promise<void> {
  const { store, config, clock } = call.context;
  const entry = { atMs: clock.now(), actor: actorOf(call), action, namespace: null, result: config.node };
  await store.db.batch([auditStatement(entry)]);
}

async function explainPeer({ context, subjects, query }: Call): Promise<InternalReply> {
  const [namespace, ip] = subjects;
  const asked = parseInput(
    turnPeerQuerySchema.extend({ namespace: namespaceNameSchema }),
    { namespace, ip, ...(query.has('port') && { port: Number(query.get('port')) }) },
    'the question',
  );
  const search = asked.port === undefined ? '' : `?port=${asked.port}`;
  const path = `/tenants/${asked.namespace}/peers/${asked.ip}${search}`;
  return { status: 200, body: await callTurn(turnSocketOf(context.config), turnPeerVerdictSchema, 'GET', path) };
}
