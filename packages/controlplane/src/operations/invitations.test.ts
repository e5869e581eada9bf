import type { EnrolRequest } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import { parseJoinToken } from '../enrolment/join-token.ts';
import { createPrivateWireguardKey, publicWireguardKey } from '../wireguard/keys.ts';
import type { OperationContext } from './context.ts';
import { enrol, invite, listInvitations, openInvitations, revokeInvitation } from './invitations.ts';
import { removeNode } from './nodes.ts';

const CLUSTER_KEY = 'the cluster key';
const FROM = '198.51.100.9';
const KEYS = Array.from({ length: 5 }, () => publicWireguardKey(createPrivateWireguardKey()));
const key = (number: number) => KEYS[number] as string;

let operations: TestOperations;
let context: OperationContext;
beforeEach(async () => {
  operations = new TestOperations();
  const own = await operations.connect();
  context = {
    ...own,
    config: {
      ...own.config,
      store: { driver: 'rqlite', addresses: ['http://10.0.0.1:4001'], timeoutMs: 1_000 },
      wireguardNetwork: '10.0.0.0/29',
      wireguardIp: '10.0.0.1',
      wireguard: { interface: 'orama0', publicKey: key(1), endpoint: '203.0.113.1:51820' },
      invitations: { listen: { address: '203.0.113.1', port: 51_820 }, endpoint: '203.0.113.1:51820' },
    },
  };
  await context.store.nodes.register({
    ...{ id: 'node-1', name: 'node-1', wireguardIp: '10.0.0.1', publicIp: '203.0.113.1', region: 'default' },
    ...{ version: '0', lastSeenAtMs: 0, wireguard: context.config.wireguard },
  });
});
afterEach(() => operations.close());

const open = async (ttlSec = 60) =>
  parseJoinToken((await invite(context, CLUSTER_KEY, { ttlSec, requestedBy: 'operator' })).token).id;
const request = (number: number, changes: Partial<EnrolRequest> = {}): EnrolRequest => ({
  ...{ node: `node-${number}`, region: 'default', publicIp: null, publicIp6: null },
  network: { kind: 'wireguard', publicKey: key(number), port: 51_820 },
  secretFiles: [],
  ...changes,
});

test('a machine that comes with an invitation gets the next address, and is no reachable node before it is heard', async () => {
  const enrolled = await enrol(context, await open(), request(2), FROM);
  expect(enrolled).toEqual({
    wireguardIp: '10.0.0.2',
    publicIp: FROM,
    peers: [{ node: 'node-1', wireguardIp: '10.0.0.1', publicKey: key(1), endpoint: '203.0.113.1:51820' }],
    members: ['10.0.0.1'],
  });
  const row = (await context.store.nodes.list()).find(({ id }) => id === 'node-2');
  expect(row).toMatchObject({
    ...{ state: 'active', reachable: false, beats: 0 },
    wireguard: { publicKey: key(2), endpoint: `${FROM}:51820` },
  });
});

test('the same machine may ask again with its invitation, and nobody else', async () => {
  const id = await open();
  const first = await enrol(context, id, request(2), FROM);
  expect(await enrol(context, id, request(2), FROM)).toMatchObject({ wireguardIp: first.wireguardIp });
  for (const other of [request(3), request(2, { network: { kind: 'wireguard', publicKey: key(3), port: 1 } })]) {
    await expect(enrol(context, id, other, FROM)).rejects.toMatchObject({
      ...{ code: 'UNAUTHORIZED', message: 'the invitation was taken by node-2 already' },
    });
  }
});

test('an invitation that is over, or that nobody gave, lets nobody in', async () => {
  const id = await open(60);
  const late = { ...context, clock: { ...context.clock, now: () => Date.now() + 61_000 } };
  for (const [where, which] of [
    [late, id],
    [context, 'inv_x'],
  ] as const)
    await expect(enrol(where, which, request(2), FROM)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
});

test('machines that join at one moment get addresses of their own, until there is none', async () => {
  const ids = await Promise.all([2, 3, 4].map(() => open()));
  const enrolled = await Promise.all(
    ids.map((id, index) => enrol(context, id, request(index + 2), `198.51.100.${index}`)),
  );
  expect(enrolled.map(({ wireguardIp }) => wireguardIp).sort()).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4']);
  const two = { ...context, config: { ...context.config, wireguardNetwork: '10.0.0.0/30' } };
  const fifth = request(5, { network: { kind: 'wireguard', publicKey: key(0), port: 1 } });
  await expect(enrol(two, await open(), fifth, FROM)).rejects.toThrow('every address');
});

test('a machine needs a public address, which no other node has', async () => {
  const given = (publicIp: string) => request(2, { publicIp });
  const enrolAs = async (wanted: EnrolRequest, from: string) => enrol(context, await open(), wanted, from);
  await expect(enrolAs(request(2), '192.168.1.7')).rejects.toMatchObject({
    ...{ code: 'INVALID_REQUEST', message: expect.stringContaining('192.168.1.7, a private address') },
    hint: expect.stringContaining('--public-ip'),
  });
  for (const [wanted, from] of [
    [request(2), '203.0.113.1'],
    [given('203.0.113.1'), FROM],
  ] as const)
    await expect(enrolAs(wanted, from)).rejects.toMatchObject({
      ...{ code: 'CONFLICT', message: '203.0.113.1 is the public address of node-1' },
    });
  // An operator may know better: a lab.
  expect(await enrolAs(given('192.168.1.7'), FROM)).toMatchObject({ publicIp: '192.168.1.7' });
});

test('two machines that come with one name at one moment do not get each other’s', async () => {
  const [first, second] = [await open(), await open()];
  const another = request(2, { network: { kind: 'wireguard', publicKey: key(3), port: 1 } });
  const overtaken = operations.overtaken(context, () => enrol(context, second, another, FROM));
  await expect(enrol(overtaken, first, request(2), FROM)).rejects.toMatchObject({ code: 'CONFLICT' });
  const row = (await context.store.nodes.list()).find(({ id }) => id === 'node-2');
  expect(row?.wireguard?.publicKey).toBe(key(3));
});

test('an invitation is open until it is over, or its machine is a node', async () => {
  const row = { answeredBy: 'node-1', createdBy: '', expiresAtMs: 10, nodeId: null, takenBy: null };
  const rows = [
    { ...row, id: 'free' },
    { ...row, id: 'of another node', answeredBy: 'node-2' },
    { ...row, id: 'from before an upgrade', answeredBy: '' },
    { ...row, id: 'on its way', nodeId: 'node-2', takenBy: 'x' },
    { ...row, id: 'arrived', nodeId: 'node-3', takenBy: 'y' },
  ];
  const nodes = [2, 3].map((number) => ({ id: `node-${number}`, reachable: number === 3 }));
  expect(openInvitations('node-1', rows, nodes, 9)).toEqual(['free', 'from before an upgrade', 'on its way']);
  expect(openInvitations('node-1', rows, nodes, 10)).toEqual([]);
});

test('listInvitations() shows those that are not over, and revokeInvitation() ends one for whoever has its token', async () => {
  const [first, second] = [await open(), await open()];
  await enrol(context, second, request(2), FROM);
  const listed = (await listInvitations(context)).map(({ id, answeredBy, takenBy }) => ({ id, answeredBy, takenBy }));
  expect(listed).toHaveLength(2);
  expect(listed).toContainEqual({ id: first, answeredBy: 'node-1', takenBy: null });
  expect(listed).toContainEqual({ id: second, answeredBy: 'node-1', takenBy: 'node-2' });
  await revokeInvitation(context, first, 'operator');
  expect((await listInvitations(context)).map(({ id }) => id)).toEqual([second]);
  await expect(enrol(context, first, request(3), FROM)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  // At the very moment.
  const overtaken = operations.overtaken(context, () => revokeInvitation(context, second, 'operator'));
  await expect(enrol(overtaken, second, request(2), FROM)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  await expect(revokeInvitation(context, first, 'operator')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const late = { ...context, clock: { ...context.clock, now: () => Date.now() + 61_000 } };
  await open();
  expect(await listInvitations(late)).toEqual([]);
});

test('a name is free again once its node was removed, and keeps its address', async () => {
  await enrol(context, await open(), request(2), FROM);
  const another = request(2, { network: { kind: 'wireguard', publicKey: key(4), port: 51_820 } });
  await expect(enrol(context, await open(), another, FROM)).rejects.toMatchObject({
    ...{ code: 'CONFLICT', hint: expect.stringContaining('orama node remove node-2') },
  });
  await removeNode(context, 'node-2', { force: true, requestedBy: 'operator' });
  expect(await enrol(context, await open(), another, FROM)).toMatchObject({ wireguardIp: '10.0.0.2' });
});

test('a machine that was taken in under another name is told that name, and gets the new one once that node is removed', async () => {
  await enrol(context, await open(), request(2, { node: 'wrong-name' }), FROM);
  await expect(enrol(context, await open(), request(2), FROM)).rejects.toMatchObject({
    ...{ code: 'CONFLICT', message: expect.stringContaining('this machine is wrong-name already') },
    hint: expect.stringContaining('orama node remove wrong-name --force'),
  });
  await removeNode(context, 'wrong-name', { force: true, requestedBy: 'operator' });
  await enrol(context, await open(), request(2), FROM);
  const rows = (await context.store.nodes.list()).filter(({ wireguard }) => wireguard?.publicKey === key(2));
  expect(rows.map(({ id }) => id)).toEqual(['node-2']);
});

test('a machine joins the network as the cluster keeps it: ours with a key, others with their address there', async () => {
  const present = request(2, { network: { kind: 'present', address: '10.0.0.5' } });
  await expect(enrol(context, await open(), present, FROM)).rejects.toMatchObject({ code: 'CONFLICT' });
  const { wireguard: _, ...config } = context.config;
  const adopted = { ...context, config };
  await expect(enrol(adopted, await open(), request(2), FROM)).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(await enrol(adopted, await open(), present, FROM)).toMatchObject({ wireguardIp: '10.0.0.5' });
  for (const address of ['10.0.0.1', '10.9.0.1']) {
    const wrong = request(3, { network: { kind: 'present', address } });
    await expect(enrol(adopted, await open(), wrong, FROM)).rejects.toMatchObject({ code: 'CONFLICT' });
  }
});

test('invite() is refused where no other machine could take part', async () => {
  const alone = { ...context, config: { ...context.config, store: operations.config.store } };
  const refused = invite(alone, CLUSTER_KEY, { ttlSec: 60, requestedBy: 'operator' });
  await expect(refused).rejects.toMatchObject({ code: 'CONFLICT', hint: expect.stringContaining('--store rqlite') });
});
