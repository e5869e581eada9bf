import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION, VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { turnConfigSchema } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CLIENT_IP, freePort, INTERNAL_IP, Peer, PUBLIC_IP, RELAY_IP, SFU_IP, TurnHarness } from './testing/harness.ts';
import { TurnService } from './turn-service.ts';

let turn: TurnHarness;
beforeEach(async () => {
  turn = await TurnHarness.start();
});
afterEach(() => turn.close());

describe.each(['udp', 'tcp', 'tls'] as const)('over %s', (transport) => {
  test('Binding tells a client its own address without credentials', async () => {
    const client = await turn.client(transport);
    expect(await client.binding()).toEqual({ family: 4, ...client.local });
  });

  test('Send reaches the peer and Data brings its answer back', async () => {
    const client = await turn.client(transport);
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    await client.createPermission(peer.address);

    client.send(peer.address, peer.port, Buffer.from('to the peer'));
    const arrived = await peer.next();
    expect(arrived).toEqual({ data: Buffer.from('to the peer'), address: relayed.address, port: relayed.port });

    const answer = client.nextData();
    peer.send(Buffer.from('and back'), relayed.port);
    expect(await answer).toEqual({
      data: Buffer.from('and back'),
      channel: undefined,
      peer: { family: 4, address: peer.address, port: peer.port },
    });
  });

  test('ChannelData goes both ways once a channel is bound', async () => {
    const client = await turn.client(transport);
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    await client.channelBind(0x4000, peer.address, peer.port);

    for (const size of [0, 1, 2, 3, 4, 5, 160, 1200, 1400]) {
      const payload = Buffer.alloc(size, size);
      client.channelData(0x4000, payload);
      expect((await peer.next()).data).toEqual(payload);
      const answer = client.nextData();
      peer.send(payload, relayed.port);
      expect(await answer).toMatchObject({ data: payload, channel: 0x4000 });
    }
  });
});

describe('TurnService', () => {
  test('serves /healthz, /readyz and /metrics on the internal address', async () => {
    const client = await turn.client();
    await client.allocate();
    expect(await (await turn.internal('/healthz')).json()).toEqual({
      status: 'ok',
      tenants: 1,
      allocations: 1,
      draining: false,
      version: VERSION,
    });
    expect((await turn.internal('/readyz')).status).toBe(200);
    const metrics = await (await turn.internal('/metrics')).text();
    expect(metrics).toContain('turn_allocations{svc="turn"} 1');
    expect(metrics).toContain('turn_relay_ports_bound{svc="turn"} 1');
    expect(metrics).toContain('turn_replies_total{method="Allocate",code="200",svc="turn"} 1');
    expect(metrics).toContain('turn_tenant_allocations{ns="demo",svc="turn"} 1');
    for (const personal of [':demo', CLIENT_IP, SFU_IP]) expect(metrics).not.toContain(personal);
  });

  test('stop refuses new allocations, keeps those that live, and ends when the last one has', async () => {
    const [staying, late] = [await turn.client(), await turn.client()];
    const peer = await turn.peer();
    const { relayed } = await staying.allocate();
    await staying.channelBind(0x4000, peer.address, peer.port);
    const stopped = turn.service.stop();

    await expect(late.allocate()).rejects.toMatchObject({ code: 508 });
    expect((await turn.internal('/readyz')).status).toBe(503);
    staying.channelData(0x4000, Buffer.from('still relayed'));
    expect((await peer.next()).data.toString()).toBe('still relayed');
    await staying.refresh(0);
    await stopped;
    const again = await Peer.open(RELAY_IP, relayed.port);
    await again.close();
  });

  test('stop closes everything at its deadline', async () => {
    await turn.close();
    const clock = new VirtualClock();
    turn = await TurnHarness.start({ drainTimeoutMs: 30_000 }, clock);
    const client = await turn.client('tcp');
    await client.allocate();
    const stopped = turn.service.stop();
    clock.advance(30_000);
    await stopped;
    await client.disconnected;
    expect(turn.portsBound).toBe(0);
  });

  test('stop lets whoever reads the usage read all of it, and waits no longer than a second and a half', async () => {
    await turn.close();
    const clock = new VirtualClock();
    for (const reads of [true, false]) {
      turn = await TurnHarness.start({ drainTimeoutMs: 30_000 }, clock);
      const [client, peer] = [await turn.client(), await turn.peer()];
      await client.allocate();
      await client.channelBind(0x4000, peer.address, peer.port);
      await turn.service.usage();
      const timers = clock.pending;
      const stopped = turn.service.stop();
      client.channelData(0x4000, Buffer.alloc(100));
      await peer.next();
      clock.advance(30_000);
      // One timer more than before: it waits for the reader.
      await expect.poll(() => clock.pending).toBe(timers + 1);
      if (reads) {
        expect((await turn.control('GET', '/usage')).body).toMatchObject({ tenants: [{ toPeerBytes: 100 }] });
      } else {
        clock.advance(1_500);
      }
      await stopped;
      if (reads) await turn.close();
    }
  });

  test('stop waits for no reader who has been told everything already', async () => {
    await turn.close();
    turn = await TurnHarness.start({ drainTimeoutMs: 30_000 }, new VirtualClock());
    const client = await turn.client();
    await client.allocate();
    await client.refresh(0);
    await turn.service.usage();
    // Nobody moves the clock: it would wait for ever.
    await turn.service.stop();
    expect(turn.portsBound).toBe(0);
  });

  test('stop during a start starts no more workers, and waits for what was begun', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'turn-test-'));
    const service = new TurnService(
      turnConfigSchema.parse({
        node: 'node-1',
        listen: [PUBLIC_IP],
        port: await freePort(PUBLIC_IP),
        tls: false,
        realm: 'orama.localhost',
        controlSocket: join(dir, 'turn.sock'),
        internal: { address: INTERNAL_IP, port: await freePort(INTERNAL_IP) },
        workers: 2,
      }),
      silentLogger,
    );
    const starts = service.workers.map((worker) => vi.spyOn(worker, 'start'));
    await Promise.all([service.start(), service.stop()]);
    for (const start of starts) expect(start).not.toHaveBeenCalled();
    rmSync(dir, { recursive: true });
  });

  test('start fails when the port is taken', async () => {
    const other = TurnHarness.start({ port: turn.port });
    await expect(other).rejects.toThrow(
      `listen, port: UDP port ${turn.port} of ${PUBLIC_IP} is in use by another program`,
    );
    const tls = TurnHarness.start({ tls: { port: turn.tlsPort } });
    await expect(tls).rejects.toThrow(
      `listen, tls.port: TCP port ${turn.tlsPort} of ${PUBLIC_IP} is in use by another program`,
    );
    const internal = TurnHarness.start({ internal: { address: INTERNAL_IP, port: turn.internalPort } });
    await expect(internal).rejects.toThrow(`internal: TCP port ${turn.internalPort} of ${INTERNAL_IP} is in use`);
  });

  test('two namespaces have their own blocks, quotas and peers', async () => {
    const otherSecret = 'the-secret-of-the-other';
    await turn.attach({
      namespace: 'other',
      secrets: [otherSecret],
      relay: { address: RELAY_IP, portStart: 50_000, portEnd: 50_000 },
      peers: [{ ip: '127.81.0.3', portStart: 1, portEnd: 65_535 }],
    });
    const mine = await turn.client();
    const theirs = await turn.client('udp', turn.credentials('other', 600, otherSecret));
    expect((await mine.allocate()).relayed.port).toBeLessThan(50_000);
    expect((await theirs.allocate()).relayed.port).toBe(50_000);
    await expect(mine.createPermission('127.81.0.3')).rejects.toMatchObject({ code: 403 });
    await expect(theirs.createPermission(SFU_IP)).rejects.toMatchObject({ code: 403 });
    const crossed = await turn.client('udp', turn.credentials('demo', 600, otherSecret));
    await expect(crossed.allocate()).rejects.toMatchObject({ code: 401 });
  });
});

test('a start on an address that the internet does not reach warns loudly, and names external', async () => {
  const warnings: unknown[] = [];
  const logger = silentLogger.child({});
  logger.warn = (text: unknown) => void warnings.push(text);
  const config = { node: 'node-1', realm: 'r', controlSocket: turn.controlSocket, workers: 1 };
  // No machine has a documentation address: the start ends with its first listener.
  const addresses = { listen: ['192.0.2.5'], internal: { address: '192.0.2.5' } };
  const service = new TurnService(
    turnConfigSchema.parse({ ...config, ...addresses }),
    logger,
    new VirtualClock(),
    undefined,
    () => addresses.listen,
  );
  await expect(service.start()).rejects.toThrow('192.0.2.5');
  expect(warnings).toContainEqual(
    expect.stringMatching(/^listen\[0\]: 192\.0\.2\.5 is a documentation address .*external/),
  );
});
