import type { Server } from 'node:http';
import {
  closeServer,
  createInternalServer,
  listen,
  RequestVerifier,
  SIGNATURE_HEADER,
  sfuControlKey,
  VirtualClock,
} from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { enableWebrtcSchema, type SfuRoom } from '@orama/protocol';
import type { RoomRow } from '@orama/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import type { NodeContext } from '../node-context.ts';
import type { OperationContext } from '../operations/context.ts';
import { enableWebrtc } from '../operations/enable-webrtc.ts';
import { createNamespace } from '../operations/namespaces.ts';
import { StoreView } from '../reconcile/store-view.ts';
import { RoomsTask } from './rooms.ts';

const MINUTE_MS = 60_000;

let operations: TestOperations;
let context: OperationContext & Pick<NodeContext, 'view' | 'logger' | 'sfuSecretOf'>;
let clock: VirtualClock;
let sfu: Server;
let rooms: SfuRoom[];
let sfuStatus: number;

beforeEach(async () => {
  operations = new TestOperations();
  const connected = await operations.connect();
  await operations.addNodes(connected, 3);
  await createNamespace(connected, { name: 'demo', owner: 'operator' });
  await enableWebrtc(connected, 'demo', enableWebrtcSchema.parse({}));
  clock = new VirtualClock(Date.now());
  context = {
    ...connected,
    view: new StoreView(connected.store, 'node-1', clock),
    clock,
    logger: silentLogger,
    sfuSecretOf: (namespace) => `SFU secret of ${namespace}`,
  };
  const verifier = new RequestVerifier(sfuControlKey(context.sfuSecretOf('demo')));
  rooms = [];
  sfuStatus = 200;
  sfu = createInternalServer(({ method, target, body, headers }) => {
    const refusal = verifier.verify(headers[SIGNATURE_HEADER]?.toString(), method, target, body, clock.now());
    return refusal === null ? { status: sfuStatus, body: { rooms } } : { status: 401, body: { refusal } };
  }, silentLogger);
  await listen(sfu, { address: '127.83.0.1', port: 30_000 });
});

afterEach(async () => {
  await closeServer(sfu);
  await operations.close();
});

const place = (node: number) => ({ nodeId: `node-${node}`, internalIp: `127.83.0.${node}`, signalingPort: 30_000 });
const join = (roomId: string, node = 1) =>
  context.store.rooms.claim({
    namespace: 'demo',
    roomId,
    place: place(node),
    seenGeneration: null,
    nowMs: clock.now(),
  });
const listed = async () => (await context.store.rooms.listOf('demo')).map((row) => row.roomId);
const sfuRoom = (room: string, names: string[]): SfuRoom => ({
  room,
  participants: names.map((name) => ({ peerId: name, identity: name, name, tracks: [] })),
  tracks: 0,
  createdAt: new Date(clock.now()).toISOString(),
  lastActivity: new Date(clock.now()).toISOString(),
});

test('a room row gets the participants and the activity that its SFU tells', async () => {
  await join('full');
  clock.advance(MINUTE_MS);
  rooms = [sfuRoom('full', ['anna', 'ben'])];
  await new RoomsTask(context).report();
  expect(await context.store.rooms.get('demo', 'full')).toMatchObject({
    participantCount: 2,
    lastActivityMs: clock.now(),
  } satisfies Partial<RoomRow>);
});

test('a room made by joining is removed when it is empty for a minute, one made by its owner stays', async () => {
  await join('left');
  await join('elsewhere', 2);
  const { rooms: repository } = context.store;
  await repository.create({
    namespace: 'demo',
    roomId: 'owned',
    maxParticipants: 5,
    maxSpeakers: null,
    spread: false,
    metadata: null,
    nowMs: clock.now(),
  });
  const owned = await repository.get('demo', 'owned');
  await repository.claim({
    namespace: 'demo',
    roomId: 'owned',
    place: place(1),
    seenGeneration: owned?.generation ?? null,
    nowMs: clock.now(),
  });
  const task = new RoomsTask(context);
  await task.report();
  expect(await listed()).toEqual(['elsewhere', 'left', 'owned']);
  clock.advance(2 * MINUTE_MS);
  await task.report();
  expect(await listed()).toEqual(['elsewhere', 'owned']);
});

test('an SFU that refuses or does not answer tells nothing: no room is removed', async () => {
  await join('unknown');
  clock.advance(2 * MINUTE_MS);
  sfuStatus = 503;
  await new RoomsTask(context).report();
  await closeServer(sfu);
  await new RoomsTask(context).report();
  expect(await listed()).toEqual(['unknown']);
});
