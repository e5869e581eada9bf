import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as immediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SelfSigner } from '../certificates/self-signed.ts';
import type { TurnClient } from '../client/turn-client.ts';
import { Peer, PUBLIC_IP, RELAY_IP, SECRET, SFU_IP, TurnHarness } from '../testing/harness.ts';

const WORKERS = 2;
const OTHER_SECRET = 'another-secret-of-the-tenant';
const BLOCK = { address: RELAY_IP, portStart: 49_152, portEnd: 49_951 };

let turn: TurnHarness;
beforeEach(async () => {
  turn = await TurnHarness.start({ workers: WORKERS });
});
afterEach(() => turn.close());

const allocationsByWorker = async () => (await turn.service.reports()).map(({ allocations }) => allocations);

/** Clients with an allocation, enough that the system's hash of their ports gives every worker some. */
async function allocated(count: number, options = {}): Promise<TurnClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => turn.client('udp', options)));
  await Promise.all(clients.map((client) => client.allocate()));
  return clients;
}

/** How many of these Allocates are answered with success, and the codes of the others. */
async function outcomes(attempts: Promise<unknown>[]): Promise<{ made: number; codes: Set<unknown> }> {
  const settled = await Promise.allSettled(attempts);
  const refused = settled.filter((one) => one.status === 'rejected');
  return { made: settled.length - refused.length, codes: new Set(refused.map(({ reason }) => reason.code)) };
}

/** One metric's value without labels, or with the ones given. */
async function metric(name: string): Promise<number> {
  const text = await (await turn.internal('/metrics')).text();
  const line = text.split('\n').find((one) => one.startsWith(name));
  return Number(line?.split(' ').at(-1));
}

describe('two workers', () => {
  test('share the clients between them, and each relays both ways', async () => {
    const clients = await allocated(32);
    const shares = await allocationsByWorker();
    expect(shares).toHaveLength(WORKERS);
    expect(shares.reduce((a, b) => a + b)).toBe(32);
    for (const share of shares) expect(share).toBeGreaterThan(0);

    const peer = await turn.peer();
    for (const client of clients) {
      await client.channelBind(0x4000, peer.address, peer.port);
      client.channelData(0x4000, Buffer.from('to the peer'));
      const { data, address, port } = await peer.next();
      expect([data.toString(), address]).toEqual(['to the peer', RELAY_IP]);
      const back = client.nextData();
      peer.send(Buffer.from('and back'), port);
      expect((await back).data.toString()).toBe('and back');
    }
  });

  test('serve TCP and TLS', async () => {
    const streams = await Promise.all(Array.from({ length: 16 }, (_, n) => turn.client(n % 2 === 0 ? 'tcp' : 'tls')));
    for (const client of streams) await client.allocate();
    for (const { streamConnections } of await turn.service.reports()) expect(streamConnections).toBeGreaterThan(0);
    expect(await metric('turn_stream_connections')).toBe(16);
    expect(await metric('turn_transport_allocations{transport="tls"')).toBe(8);
  });

  test('serve a certificate from the moment it is handed over, and keep the connections they have', async () => {
    const name = 'turn.ns-demo.orama.localhost';
    const { cert, key } = new SelfSigner().sign([name], Date.now());
    const earlier = await Promise.all(Array.from({ length: 8 }, () => turn.client('tls')));
    for (const client of earlier) await client.allocate();
    await turn.control('PUT', `/certificates/${name}`, { cert, key });
    const trusting = () => turn.client('tls', { tls: { ca: cert, servername: name } });
    await expect
      .poll(async () => (await Promise.allSettled(Array.from({ length: 12 }, trusting))).map(({ status }) => status))
      .toEqual(new Array(12).fill('fulfilled'));
    for (const { streamConnections } of await turn.service.reports()) expect(streamConnections).toBeGreaterThan(0);
    for (const client of earlier) expect(await client.refresh()).toBe(600);
  });

  test('keep a tenant’s maximum of allocations between them', async () => {
    await turn.attach({ maxAllocations: 5, generation: 2 });
    const clients = await Promise.all(Array.from({ length: 24 }, () => turn.client()));
    const { made, codes } = await outcomes(clients.map((client) => client.allocate()));
    expect([made, codes]).toEqual([5, new Set([486])]);
  });

  test('keep the maximum of a username between them', async () => {
    await turn.attach({ maxAllocationsPerUsername: 3, generation: 2 });
    const attempts = async (ttlSec: number) => {
      const options = turn.credentials('demo', ttlSec);
      const clients = await Promise.all(Array.from({ length: 12 }, () => turn.client('udp', options)));
      return outcomes(clients.map((client) => client.allocate()));
    };
    expect(await attempts(600)).toEqual({ made: 3, codes: new Set([486]) });
    expect(await attempts(900)).toEqual({ made: 3, codes: new Set([486]) });
  });

  test('never give a relay port twice, and have the whole block', async () => {
    const relay = { address: RELAY_IP, portStart: 49_152, portEnd: 49_171 };
    await turn.attach({ relay, generation: 2 });
    const clients = await Promise.all(Array.from({ length: 20 }, () => turn.client()));
    const relayed = await Promise.all(clients.map((client) => client.allocate()));
    expect(new Set(relayed.map(({ relayed }) => relayed.port)).size).toBe(20);
    await expect((await turn.client()).allocate()).rejects.toMatchObject({ code: 508 });
  });

  test('redeem a RESERVATION-TOKEN that the other one gave', async () => {
    /** The worker that a client's Allocate fell to. */
    const workerOf = async (allocate: () => Promise<unknown>) => {
      const before = await allocationsByWorker();
      await allocate();
      return (await allocationsByWorker()).findIndex((count, id) => count > (before[id] ?? 0));
    };
    for (;;) {
      const [first, second] = [await turn.client(), await turn.client()];
      let token: Buffer | undefined;
      let even = 0;
      const giver = await workerOf(async () => {
        const result = await first.allocate({ evenPort: 'reserve' });
        [token, even] = [result.reservationToken, result.relayed.port];
      });
      const redeemer = await workerOf(async () => {
        if (token === undefined) throw new Error('no port was promised');
        expect((await second.allocate({ reservationToken: token })).relayed.port).toBe(even + 1);
      });
      if (giver !== redeemer) return;
    }
  });

  test('take a tenant’s bytes a second from one budget', async () => {
    await turn.attach({ bytesPerSec: 1000, generation: 2 });
    const peer = await turn.peer();
    const clients = await allocated(16);
    for (const share of await allocationsByWorker()) expect(share).toBeGreaterThan(0);
    for (const client of clients) await client.channelBind(0x4000, peer.address, peer.port);
    const begun = performance.now();
    // 160,000 bytes, of which one worker alone has 80,000; 64 KiB may go at once.
    for (let n = 0; n < 10; n++) for (const client of clients) client.channelData(0x4000, Buffer.alloc(1000));
    for (const client of clients) await client.refresh();
    const { tenants } = await turn.service.usage();
    const bytes = tenants[0]?.toPeerBytes ?? 0;
    expect(bytes).toBeGreaterThan(60_000);
    expect(bytes).toBeLessThanOrEqual(65_536 + performance.now() - begun);
    expect(await metric('turn_drops_total{reason="overByteRate"')).toBe(160 - bytes / 1000);
  });

  test('count the unauthenticated requests and the connections of a source together', async () => {
    await turn.close();
    turn = await TurnHarness.start({
      workers: WORKERS,
      unauthenticatedRate: { burst: 10, perSec: 0.001 },
      maxTcpConnectionsPerSource: 4,
    });
    const sockets: Socket[] = [];
    let refused = 0;
    for (let n = 0; n < 12; n++) {
      const socket = connect({ host: PUBLIC_IP, port: turn.port, localAddress: '127.81.3.7' });
      socket.on('error', () => undefined).on('close', () => refused++);
      await once(socket, 'connect');
      sockets.push(socket);
    }
    await expect.poll(() => refused).toBe(8);
    for (const socket of sockets) socket.destroy();

    const clients = await Promise.all(Array.from({ length: 64 }, () => turn.client('udp', { timeoutMs: 600 })));
    await Promise.allSettled(clients.map((client) => client.binding()));
    expect(await metric('turn_replies_total{method="Binding",code="200"')).toBe(10);
    for (const { drops } of await turn.service.reports()) expect(drops.rateLimited).toBeGreaterThan(0);
  });

  test('take a changed secret, keeping those who are there, and end what the old one made when it is left out', async () => {
    const [old] = await allocated(1);
    await turn.attach({ secrets: [OTHER_SECRET, SECRET], generation: 2 });
    const rotated = turn.credentials('demo', 600, OTHER_SECRET);
    await allocated(8);
    await allocated(8, rotated);
    await turn.attach({ secrets: [OTHER_SECRET], generation: 3 });
    await allocated(8, rotated);
    for (let n = 0; n < 8; n++) await expect((await turn.client()).allocate()).rejects.toMatchObject({ code: 401 });
    expect((await allocationsByWorker()).reduce((a, b) => a + b)).toBe(16);
    await expect(old?.refresh()).rejects.toMatchObject({ code: 401 });
  });

  test('have closed every socket of a tenant when DELETE has answered, and its usage is whole', async () => {
    const peer = await turn.peer();
    const clients = await allocated(12);
    const ports: number[] = [];
    for (const client of clients) {
      await client.channelBind(0x4000, peer.address, peer.port);
      client.channelData(0x4000, Buffer.alloc(100));
      ports.push((await peer.next()).port);
    }
    expect((await turn.control('DELETE', '/tenants/demo')).status).toBe(204);
    const usage = await turn.control('GET', '/usage');
    expect(usage.body).toMatchObject({
      tenants: [{ namespace: 'demo', toPeerPackets: 12, toPeerBytes: 1200, toClientBytes: 0, allocations: 12 }],
    });
    for (const port of ports) await (await Peer.open(RELAY_IP, port)).close();
    expect(await allocationsByWorker()).toEqual([0, 0]);

    await turn.attach();
    const again = await turn.client();
    await again.allocate();
    expect((await turn.service.usage()).tenants).toMatchObject([{ allocations: 13, toPeerBytes: 1200 }]);
  });

  test('give the lines of a tenant’s log together, in their order and once, also when it is detached', async () => {
    await allocated(16);
    for (const share of await allocationsByWorker()) expect(share).toBeGreaterThan(0);
    const take = async () => {
      const { body } = await turn.control('POST', '/tenants/demo/lines');
      return (body as { lines: { atMs: number; message: string; fields: { alloc: number } }[] }).lines;
    };
    const opened = await take();
    expect(opened.map(({ message }) => message)).toEqual(new Array(16).fill('allocation opened'));
    expect(new Set(opened.map(({ fields }) => fields.alloc)).size).toBe(16);
    expect(opened).toEqual([...opened].sort((one, other) => one.atMs - other.atMs));
    expect(await take()).toEqual([]);
    await turn.control('DELETE', '/tenants/demo');
    expect((await take()).map(({ message }) => message)).toEqual(new Array(16).fill('allocation ended'));
  });

  test('drain together: 508 from each, and the end when the last allocation of either has gone', async () => {
    const clients = await allocated(8);
    const stopped = turn.service.stop();
    const transports = ['udp', 'tcp', 'tls'] as const;
    const newcomers = await Promise.all(Array.from({ length: 12 }, (_, n) => turn.client(transports[n % 3])));
    const { made, codes } = await outcomes(newcomers.map((client) => client.allocate()));
    expect([made, codes]).toEqual([0, new Set([508])]);
    const status = await turn.control('GET', '/status');
    expect(status.body).toMatchObject({ draining: true, allocations: 8, relayPortsBound: 8 });
    const ready = await turn.internal('/readyz');
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('8 allocations left')]);
    for (const client of clients) await client.refresh(0);
    await stopped;
    for (const client of clients) await client.close();
  });

  test('add up in the metrics', async () => {
    await allocated(10);
    const shares = await allocationsByWorker();
    for (const [id, share] of shares.entries()) {
      expect(await metric(`turn_worker_allocations{worker="${id}"`)).toBe(share);
      expect(await metric(`turn_worker_event_loop_utilization{worker="${id}"`)).toBeGreaterThan(0);
    }
    for (const name of ['turn_allocations{', 'turn_relay_ports_bound{', 'turn_allocations_opened_total{']) {
      expect(await metric(name)).toBe(10);
    }
    expect(await metric('turn_replies_total{method="Allocate",code="200"')).toBe(10);
    expect(await metric('turn_workers{')).toBe(WORKERS);
    expect(await metric('turn_certificate_expiry_seconds{name="default"')).toBeGreaterThan(80 * 86_400);
  });

  test('do not start where somebody has the port', async () => {
    await expect(TurnHarness.start({ workers: WORKERS, port: turn.port })).rejects.toThrow(
      `UDP port ${turn.port} of ${PUBLIC_IP} is in use by another program`,
    );
    expect(await (await turn.client()).binding()).toMatchObject({ family: 4 });
  });
});

test('whatever clients and the operator do, usage only grows, and the ledger is empty when all are gone', async () => {
  const step = fc.constantFrom(
    'udp',
    'tcp',
    'pair',
    'refresh to zero',
    'kill',
    'detach',
    'other block',
    'fewer allowed',
    'usage',
  );
  let generation = 10;
  let counted = 0;
  const readUsage = async () => {
    const { tenants } = await turn.service.usage();
    expect(tenants[0]?.allocations).toBeGreaterThanOrEqual(counted);
    counted = tenants[0]?.allocations ?? 0;
  };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      await turn.attach({ generation: ++generation });
      const clients: TurnClient[] = [];
      const running: Promise<unknown>[] = [];
      const start = (work: Promise<unknown>) => running.push(work.catch(() => undefined));
      for (const one of steps) {
        if (one === 'udp' || one === 'tcp' || one === 'pair') {
          const client = await turn.client(one === 'tcp' ? 'tcp' : 'udp', { timeoutMs: 300 });
          clients.push(client);
          start(client.allocate(one === 'pair' ? { evenPort: 'only' } : {}));
        } else if (one === 'refresh to zero') {
          const client = clients.shift();
          if (client) start(client.refresh(0));
        } else if (one === 'usage') {
          running.push(readUsage());
        } else if (one === 'kill') {
          await clients.pop()?.close();
        } else if (one === 'detach') {
          start(turn.service.tenants.detach('demo'));
          start(turn.attach({ generation: ++generation }));
        } else {
          const few = one === 'fewer allowed';
          const relay = few ? BLOCK : { ...BLOCK, portStart: 49_552 + (generation % 100) };
          start(turn.attach({ relay, maxAllocations: few ? 2 : 800, generation: ++generation }));
        }
      }
      await Promise.all(running);
      await turn.attach({ generation: ++generation });
      const { ledger } = turn;
      // Some know their nonce already, so that their Allocate is under way when the tenant goes.
      const late = await allocated(6);
      await Promise.all(late.map((client) => client.refresh(0)));
      for (const client of late) start(client.allocate());
      await immediate();
      await turn.service.tenants.detach('demo');
      await readUsage();
      expect([ledger.leaseCount, ledger.portCount]).toEqual([0, 0]);
      const reports = await turn.service.reports();
      expect(reports.map(({ relayPortsBound }) => relayPortsBound)).toEqual([0, 0]);
      await Promise.all([...clients, ...late].map((client) => client.close()));
      await Promise.all(running);
    }),
    { numRuns: 10 },
  );
}, 120_000);

test('the namespace’s peer is still its own SFU on either worker', async () => {
  const clients = await allocated(8);
  for (const client of clients) {
    await client.createPermission(SFU_IP);
    await expect(client.createPermission('127.81.0.9')).rejects.toMatchObject({ code: 403 });
  }
});
