import { type InternalReply, OramaError } from '@orama/core';
import { nodeIdSchema } from '@orama/protocol';
import type { ControlplaneClient } from '../client/controlplane-client.ts';
import { type Call, parseInput } from './route.ts';

/** A client of the controlplane that listens at a WireGuard address. */
export type PeerOf = (wireguardIp: string) => ControlplaneClient;

/** Hands a call to the controlplane of the node that it is about. Throws NOT_FOUND, UNAVAILABLE. */
export async function forward(
  { context, subjects, query, body, operator }: Call,
  method: string,
  peer: PeerOf,
): Promise<InternalReply> {
  const [given = '', rest = ''] = subjects;
  const id = parseInput(nodeIdSchema, given, 'the node id');
  const nodes = await context.store.nodes.list();
  const node = nodes.find((one) => one.id === id);
  if (!node) {
    throw new OramaError('NOT_FOUND', `there is no node "${id}"`, {
      hint: `the nodes are ${nodes.map((one) => one.id).join(', ')}`,
    });
  }
  const search = query.toString();
  const answer = await peer(node.wireguardIp).forward(
    method,
    `${rest}${search && `?${search}`}`,
    body,
    operator?.authorization,
  );
  return { status: answer.status, body: answer.body === '' ? undefined : JSON.parse(answer.body) };
}
