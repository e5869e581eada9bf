import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import { browserOffer } from '../testing/browser-offer.ts';
import { until } from '../testing/test-peer.ts';
import { IceSession } from './ice-session.ts';
import { readIce } from './sdp.ts';
import { type Endpoint, StunFront } from './stun-front.ts';
import { buildCheck, type IceCredential } from './stun-message.ts';

test('whom libjuice sees at the front is told by the address it comes from: relays stay recognisable', async () => {
  const front = new StunFront({
    ...{ address: '127.82.251.1', portStart: 40_300, portEnd: 40_301, clock: new VirtualClock() },
  });
  await front.start();
  const moves: (Endpoint | null)[] = [];
  let selected: Endpoint | null = { address: '127.82.251.7', port: 50_000 };
  const session: IceSession = new IceSession(
    front,
    () => selected,
    () => moves.push(session.remote),
  );
  expect(session.remote).toEqual(selected);
  const native = browserOffer([{ kind: 'audio', mid: '0' }]).replace(
    'a=mid:0',
    'a=candidate:1 1 UDP 2114977791 127.82.251.1 40299 typ host\r\na=mid:0',
  );
  const local = readIce(native) as IceCredential;
  session.begin(native, { ufrag: 'peer', password: 'secret' });
  selected = front.endpoint;
  expect(session.remote).toBeNull();

  const peer = createSocket('udp4').bind(0, '127.82.251.9');
  await once(peer, 'listening');
  const check = buildCheck({
    ...{ transactionId: randomBytes(12), username: `${local.ufrag}:peer`, password: local.password, priority: 1 },
    ...{ role: 'controlling', tieBreaker: Buffer.alloc(8), useCandidate: true },
  });
  peer.send(check, front.endpoint.port, front.endpoint.address);
  await until('the peer to be let through', () => moves.length > 0);
  const { address, port } = peer.address();
  expect(moves).toMatchObject([{ address, port }]);
  expect(front.servedCount).toBe(1);
  session.close();
  expect(front.servedCount).toBe(0);
  peer.close();
  front.close();
});
