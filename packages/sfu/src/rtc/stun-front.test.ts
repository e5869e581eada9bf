import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { VirtualClock } from '@orama/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../testing/test-peer.ts';
import { RtcConnection } from './connection.ts';
import type { FrontPath } from './front-path.ts';
import { readCandidates, readIce } from './sdp.ts';
import { type Endpoint, StunFront } from './stun-front.ts';
import {
  BINDING,
  type BindingMessage,
  buildCheck,
  buildSuccess,
  hasIntegrity,
  isStun,
  readBinding,
} from './stun-message.ts';

const ADDRESS = '127.82.253.1';
const SFU = { ufrag: 'sfu0', password: 'password of the sfu' };
const PEER = { ufrag: 'peer0', password: 'password of the peer' };
const ZERO = Buffer.alloc(8);

/** A socket that keeps what it gets. */
class Party {
  readonly got: Buffer[] = [];
  readonly #socket: Socket = createSocket('udp4');

  static async open(address: string): Promise<Party> {
    const party = new Party();
    party.#socket.on('message', (datagram) => party.got.push(datagram)).bind(0, address);
    await once(party.#socket, 'listening');
    return party;
  }

  get endpoint(): Endpoint {
    return this.#socket.address();
  }

  send(datagram: Buffer, to: Endpoint): void {
    this.#socket.send(datagram, to.port, to.address);
  }

  close(): void {
    this.#socket.close();
  }

  /** The first message of a type, which it takes out. */
  async next(type: number): Promise<{ message: BindingMessage; datagram: Buffer }> {
    const index = () => this.got.findIndex((each) => isStun(each) && readBinding(each)?.type === type);
    await until(`a message of type ${type}`, () => index() >= 0);
    const [datagram] = this.got.splice(index(), 1) as [Buffer];
    return { datagram, message: readBinding(datagram) as BindingMessage };
  }

  async media(text: string): Promise<void> {
    await until(text, () => this.got.some((each) => each.toString() === text));
  }
}

const clock = new VirtualClock();
let front: StunFront;
let native: Party;
let peer: Party;
let path: FrontPath;
let selected: Endpoint | null;
let remotes: (Endpoint | null)[];
const parties: Party[] = [];

async function party(address: string): Promise<Party> {
  const opened = await Party.open(address);
  parties.push(opened);
  return opened;
}

beforeEach(async () => {
  front = new StunFront({ address: ADDRESS, portStart: 40_100, portEnd: 40_199, clock });
  await front.start();
  native = await party(ADDRESS);
  peer = await party('127.82.253.9');
  selected = null;
  remotes = [];
  path = front.add({
    ...{ native: native.endpoint, local: SFU, remote: PEER, selected: () => selected },
    onRemote: () => remotes.push(path.remote),
  });
});
afterEach(() => {
  path.close();
  front.close();
  for (const each of parties.splice(0)) each.close();
});

function checkOf(change: Partial<Parameters<typeof buildCheck>[0]> = {}): Buffer {
  return buildCheck({
    ...{ transactionId: randomBytes(12), username: 'sfu0:peer0', password: SFU.password, priority: 1 },
    ...{ role: 'controlling', tieBreaker: ZERO, useCandidate: true },
    ...change,
  });
}
const RESTARTED = { username: 'sfu1:peer1', password: 'the next one' };
const restart = () =>
  path.restart({ ufrag: 'sfu1', password: RESTARTED.password }, { ufrag: 'peer1', password: 'peer, the next' });

test('a peer whose checks have a tie-breaker of zero is answered, and libjuice is asked to take us for it', async () => {
  peer.send(checkOf(), front.endpoint);
  const answer = await peer.next(BINDING.success);
  expect(hasIntegrity(answer.datagram, answer.message, SFU.password)).toBe(true);
  const asked = await native.next(BINDING.request);
  expect(asked.message).toMatchObject({
    ...{ username: 'sfu0:peer0', role: 'controlling', useCandidate: true, zeroTieBreaker: false },
  });
  expect(hasIntegrity(asked.datagram, asked.message, SFU.password)).toBe(true);
  expect(remotes).toEqual([peer.endpoint].map(({ address, port }) => expect.objectContaining({ address, port })));
  peer.send(Buffer.from('from the peer'), front.endpoint);
  await native.media('from the peer');
  native.send(Buffer.from('for the peer'), front.endpoint);
  await peer.media('for the peer');
});

test('libjuice is asked until it has answered, and its own check was: only then has it nominated us', async () => {
  peer.send(checkOf(), front.endpoint);
  await native.next(BINDING.request);
  clock.advance(50);
  const { message } = await native.next(BINDING.request);
  native.send(buildSuccess(message.transactionId, front.endpoint, SFU.password), front.endpoint);
  // What follows comes after the answer on the same way.
  native.send(Buffer.from('answered'), front.endpoint);
  await peer.media('answered');
  clock.advance(50);
  await native.next(BINDING.request);
  const transactionId = randomBytes(12);
  native.send(checkOf({ transactionId, username: 'peer0:sfu0', password: PEER.password }), front.endpoint);
  await peer.next(BINDING.request);
  peer.send(buildSuccess(transactionId, front.endpoint, PEER.password), front.endpoint);
  await native.next(BINDING.success);
  clock.advance(1_000);
  peer.send(Buffer.from('later'), front.endpoint);
  await native.media('later');
  expect(native.got.filter(isStun)).toEqual([]);
});

test("libjuice's checks reach the peer under our names, and its answer comes back under the peer's first one", async () => {
  restart();
  peer.send(checkOf(RESTARTED), front.endpoint);
  await native.next(BINDING.request);
  const transactionId = randomBytes(12);
  native.send(checkOf({ transactionId, username: 'peer0:sfu0', password: PEER.password }), front.endpoint);
  const check = await peer.next(BINDING.request);
  expect(check.message).toMatchObject({ username: 'peer1:sfu1', role: 'controlled', useCandidate: false });
  expect(hasIntegrity(check.datagram, check.message, 'peer, the next')).toBe(true);
  peer.send(buildSuccess(transactionId, front.endpoint, 'not the password'), front.endpoint);
  peer.send(buildSuccess(transactionId, front.endpoint, 'peer, the next'), front.endpoint);
  const answer = await native.next(BINDING.success);
  expect(hasIntegrity(answer.datagram, answer.message, PEER.password)).toBe(true);
  expect(native.got.filter(isStun)).toEqual([]);
});

test('a controlled peer is nominated until it has answered', async () => {
  peer.send(checkOf({ role: 'controlled' }), front.endpoint);
  const { message } = await peer.next(BINDING.request);
  expect(message).toMatchObject({ username: 'peer0:sfu0', role: 'controlling', useCandidate: true });
  peer.send(buildSuccess(message.transactionId, front.endpoint, PEER.password), front.endpoint);
  peer.send(checkOf({ role: 'controlled' }), front.endpoint);
  await peer.next(BINDING.success);
  await peer.next(BINDING.success);
  expect(peer.got).toEqual([]);
});

test('whoever libjuice can serve itself is refused, so that it goes there', async () => {
  peer.send(checkOf({ tieBreaker: randomBytes(8).fill(1, 0, 1) }), front.endpoint);
  await peer.next(BINDING.error);
  selected = { address: '127.82.253.8', port: 5_000 };
  peer.send(checkOf(), front.endpoint);
  await peer.next(BINDING.error);
  expect(path.remote).toBeNull();
  // libjuice has learnt the address from a check that it refused: that is no way.
  selected = peer.endpoint;
  peer.send(checkOf(), front.endpoint);
  await peer.next(BINDING.success);
});

test('strangers get no answer and nothing through', async () => {
  const stranger = await party('127.82.253.7');
  stranger.send(checkOf({ password: 'guessed' }), front.endpoint);
  stranger.send(checkOf({ username: 'other:peer0' }), front.endpoint);
  stranger.send(checkOf({ username: 'sfu0:other' }), front.endpoint);
  stranger.send(Buffer.from('media of a stranger'), front.endpoint);
  peer.send(checkOf(), front.endpoint);
  await peer.next(BINDING.success);
  await native.next(BINDING.request);
  expect(native.got).toEqual([]);
  expect(stranger.got).toEqual([]);
});

test('after a restart the former way stays good until the new one is there, then the new one is it', async () => {
  peer.send(checkOf(), front.endpoint);
  await peer.next(BINDING.success);
  restart();
  peer.send(checkOf(), front.endpoint);
  await peer.next(BINDING.success);
  native.send(Buffer.from('before'), front.endpoint);
  await peer.media('before');
  const moved = await party('127.82.253.10');
  moved.send(checkOf({ ...RESTARTED, tieBreaker: randomBytes(8), useCandidate: false }), front.endpoint);
  await moved.next(BINDING.success);
  native.send(Buffer.from('after'), front.endpoint);
  await moved.media('after');
  // A late check of the former credentials takes nothing back.
  peer.send(checkOf(), front.endpoint);
  await peer.next(BINDING.success);
  expect(path.remote).toMatchObject({ address: '127.82.253.10' });
  expect(remotes).toHaveLength(2);
});

test('an address that another peer was given since is that one’s, and stays it when the first path closes', async () => {
  const secondNative = await party(ADDRESS);
  const second = front.add({
    ...{ native: secondNative.endpoint, local: { ...SFU, ufrag: 'sfu2' }, remote: PEER, selected: () => null },
    onRemote: () => {},
  });
  peer.send(checkOf(), front.endpoint);
  await peer.next(BINDING.success);
  peer.send(checkOf({ username: 'sfu2:peer0' }), front.endpoint);
  await peer.next(BINDING.success);
  path.close();
  peer.send(Buffer.from('of the second'), front.endpoint);
  await secondNative.media('of the second');
  expect(native.got.filter((each) => !isStun(each))).toEqual([]);
  second.close();
});

test('libjuice itself refuses a tie-breaker of zero, and takes a controlling peer through the front', async () => {
  const offerer = new RtcConnection({ name: 'peer', address: '127.82.253.2' }, { onFault: () => {} });
  const sfu = new RtcConnection({ name: 'sfu', address: ADDRESS }, { onFault: () => {} });
  offerer.sendTrack({
    ...{ mid: '0', kind: 'video', ssrcs: [5], cname: 'c', streamId: 's', trackId: 't' },
    codec: { name: 'VP8', payloadType: 96 },
  });
  const offer = offerer.createLocal('offer');
  sfu.setRemote('offer', offer);
  const answer = sfu.createLocal('answer');
  const local = readIce(answer) as NonNullable<ReturnType<typeof readIce>>;
  const remote = readIce(offer) as NonNullable<ReturnType<typeof readIce>>;
  const { ip: address, port } = readCandidates(answer)[0] as { ip: string; port: number };
  const libjuice = front.add({
    ...{ native: { address, port }, local, remote, onRemote: () => {} },
    selected: () => sfu.selectedPair()?.remote ?? null,
  });
  const username = `${local.ufrag}:${remote.ufrag}`;
  const refused = await party('127.82.253.6');
  refused.send(checkOf({ username, password: local.password }), { address, port });
  await refused.next(BINDING.error);
  peer.send(checkOf({ username, password: local.password }), front.endpoint);
  await peer.next(BINDING.success);
  const { message } = await peer.next(BINDING.request);
  peer.send(buildSuccess(message.transactionId, front.endpoint, remote.password), front.endpoint);
  const pair = await until('a pair', () => sfu.selectedPair());
  expect(pair.remote).toMatchObject({ address: ADDRESS, port: front.endpoint.port });
  expect(libjuice.remote).toMatchObject({ address: peer.endpoint.address, port: peer.endpoint.port });
  libjuice.close();
  sfu.close();
  offerer.close();
});
