import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROLPLANE_FAILPOINTS } from '@orama/controlplane';
import { LocalCluster, leftoversOf, type NamespaceAccess, portBlocksOf } from '@orama/testkit';
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
  await cluster?.stop();
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
  const linesOf = (output: string) => output.split('\n').filter((line) => line.trim() !== '').length;

  async function killAtLine(args: string[], line: number): Promise<void> {
    const command = cluster.spawn(...args);
    await command.printedLines(line);
    await command.kill('SIGKILL');
  }

  test('at any line it prints leaves what the next one completes, of enable and of disable', async () => {
    const lines = [linesOf((await cluster.orama(...ENABLE)).stderr), linesOf((await cluster.orama(...DISABLE)).stderr)];
    console.log(`enable prints ${lines[0]} lines, disable ${lines[1]}`);
    expect(Math.min(...lines)).toBeGreaterThan(3);
    for (let line = 1; line <= Math.max(...lines); line += 1) {
      await killAtLine(ENABLE, line);
      await cluster.orama(...ENABLE);
      await expectEnabled();
      const blocks = portBlocksOf(cluster.databaseFile, NAME);
      await killAtLine(DISABLE, line);
      await cluster.orama(...DISABLE);
      await expectGone(blocks);
    }
  });
});
