import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROLPLANE_FAILPOINTS } from '@orama/controlplane';
import { LocalCluster, leftoversOf, type NamespaceAccess, portBlocksOf, rowsOf } from '@orama/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** Enable and disable, interrupted at every step: whoever dies, running the command again ends right. */
let cluster: LocalCluster;
let access: NamespaceAccess;
let failpoints: string;
const NAME = 'broken-off';
const ENABLE = ['namespace', 'enable', 'webrtc', '--namespace', NAME];
const DISABLE = ['namespace', 'disable', 'webrtc', '--namespace', NAME];

beforeAll(async () => {
  failpoints = mkdtempSync(join(tmpdir(), 'orama-failpoints-'));
  cluster = await LocalCluster.start({ prefix: 92, startOptions: ['--failpoint-dir', failpoints] });
  access = await cluster.createNamespace(NAME);
});
afterAll(async () => {
  await cluster.stop();
  rmSync(failpoints, { recursive: true, force: true });
});

async function expectEnabled(): Promise<void> {
  const status = await cluster.status(NAME);
  expect(status).toMatchObject({ state: 'enabled', healthy: true, problems: [], operation: null });
  expect(status.services.filter((service) => service.service === 'sfu')).toHaveLength(3);
  expect(status.services.filter((service) => service.service === 'turn')).toHaveLength(2);
  expect(status.dns.map((record) => record.served)).toEqual([true, true]);
  const answer = await cluster.gateway(access, 'POST', '/v1/webrtc/turn/credentials');
  expect(answer.status).toBe(200);
}

async function expectGone(blocks: ReturnType<typeof portBlocksOf>): Promise<void> {
  expect(await leftoversOf(cluster, NAME, blocks)).toEqual([]);
  expect((await cluster.status(NAME)).state).toBe('off');
}

const arm = (name: string) => join(failpoints, name.replaceAll(/[^a-z0-9.:-]/gi, '_'));

/** Steps that belong to the node's own services, not to enable and disable. */
const isCore = (name: string) => name.includes('core-');
const isOfDisable = (name: string) => /^disable|-stop|-clean|-detach|-remove/.test(name);
const points = CONTROLPLANE_FAILPOINTS.filter((name) => !isCore(name));
const whileEnabling = points.filter((name) => !isOfDisable(name));
const whileDisabling = points.filter(isOfDisable);
/** Every point once; the shorter list begins again where it ends. */
const pairs = Array.from({ length: Math.max(whileEnabling.length, whileDisabling.length) }, (_, index) => [
  whileEnabling[index % whileEnabling.length] as string,
  whileDisabling[index % whileDisabling.length] as string,
]);

describe('a controlplane that is killed', () => {
  test.each(pairs)('at %s, and later at %s', async (enabling, disabling) => {
    const [first, second] = [arm(enabling), arm(disabling)];
    writeFileSync(first, '');
    await cluster.run(...ENABLE);
    await cluster.orama(...ENABLE);
    await expectEnabled();
    expect(existsSync(first), `${enabling} was never passed`).toBe(false);
    const blocks = portBlocksOf(cluster.databaseFile, NAME);
    writeFileSync(second, '');
    await cluster.run(...DISABLE);
    await cluster.orama(...DISABLE);
    await expectGone(blocks);
    expect(existsSync(second), `${disabling} was never passed`).toBe(false);
  });

  test.each(['apply:core-start:before', 'apply:core-start:after'])(
    'at %s brings the TURN server back all the same',
    async (name) => {
      await cluster.orama(...ENABLE);
      const file = arm(name);
      writeFileSync(file, '');
      const killed = await cluster.killService(1, 'orama-turn');
      await cluster.waitRestarted(1, 'orama-turn', killed, 10_000);
      await cluster.waitHealthy(NAME);
      expect(existsSync(file), 'the step was never passed').toBe(false);
      await cluster.orama(...DISABLE);
    },
  );
});

describe('a command that is killed', () => {
  /** Runs the command once to see the lines it prints, then kills it at each of them. */
  async function killAtEachLine(args: string[], undo: () => Promise<void>, redo: () => Promise<void>): Promise<number> {
    const lines = (await cluster.orama(...args)).stderr.split('\n').filter((line) => line.trim() !== '');
    for (let count = 1; count <= lines.length; count += 1) {
      await undo();
      const command = cluster.spawn(...args);
      await command.printedLines(count);
      await command.kill('SIGKILL');
      await redo();
    }
    return lines.length;
  }

  test('at any line that enable prints leaves what the next enable completes', async () => {
    const walked = await killAtEachLine(
      ENABLE,
      async () => void (await cluster.orama(...DISABLE)),
      async () => {
        await cluster.orama(...ENABLE);
        await expectEnabled();
      },
    );
    expect(walked).toBeGreaterThan(3);
  });

  test('at any line that disable prints leaves what the next disable completes', async () => {
    const blocks = portBlocksOf(cluster.databaseFile, NAME);
    const walked = await killAtEachLine(
      DISABLE,
      async () => void (await cluster.orama(...ENABLE)),
      async () => {
        await cluster.orama(...DISABLE);
        await expectGone(blocks);
        expect(rowsOf(cluster.databaseFile, NAME)).toEqual({});
      },
    );
    expect(walked).toBeGreaterThan(3);
  });

  test('right after its request has begun the operation goes on without it', async () => {
    const command = cluster.spawn(...ENABLE);
    await command.printedLines(1);
    await command.kill('SIGKILL');
    await cluster.orama(...ENABLE);
    await expectEnabled();
    await cluster.orama(...DISABLE);
  });
});
