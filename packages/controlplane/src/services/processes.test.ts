import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { waitFor } from '@orama/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runningUnits } from './find-units.ts';
import { readProcess } from './proc.ts';
import { ProcessServices, stopAllServices } from './processes.ts';
import type { ServiceExit } from './service-manager.ts';

const UNIT = 'orama-test@one';
/** Says when it listens for signals, so that a test does not stop it earlier. */
const FOREVER = `process.stdout.write('up\\n'); setInterval(() => {}, 1000);`;
const STUBBORN = `process.on('SIGTERM', () => {}); ${FOREVER}`;

let dataDir: string;
let services: ProcessServices;

const open = (clock: Clock = systemClock) => ProcessServices.open({ dataDir, logger: silentLogger, clock });
const spec = (script: string, unit = UNIT) => ({
  unit,
  command: [process.execPath, '-e', script],
  configDigest: 'digest',
});
const runFile = (unit = UNIT) => join(dataDir, 'run', `${unit}.json`);
const logFile = () => join(dataDir, 'logs', `${UNIT}.log`);
const pidOf = (unit = UNIT) => (JSON.parse(readFileSync(runFile(unit), 'utf8')) as { pid: number }).pid;
const isUp = () =>
  waitFor('the unit to be up', () => existsSync(logFile()) && readFileSync(logFile(), 'utf8').includes('up'));
const nextExit = () => {
  const { promise, resolve } = Promise.withResolvers<ServiceExit>();
  const off = services.onExit((exit) => {
    off();
    resolve(exit);
  });
  return promise;
};
/** A zombie counts as gone. */
const isAlive = (pid: number) => readProcess(pid) !== null;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'orama-services-'));
  services = await open();
});

afterEach(async () => {
  services.close();
  await stopAllServices(dataDir, 0, silentLogger);
  rmSync(dataDir, { recursive: true, force: true });
});

test('start runs a unit with its output in its log and a run file that only its owner reads', async () => {
  await services.start(spec(FOREVER));
  await isUp();
  expect(await services.list()).toEqual([
    { unit: UNIT, phase: 'running', configDigest: 'digest', startedAtMs: expect.any(Number) },
  ]);
  expect(statSync(runFile()).mode & 0o777).toBe(0o600);
});

test('start does nothing while the unit has a process', async () => {
  await services.start(spec(FOREVER));
  const pid = pidOf();
  await services.start(spec(FOREVER));
  expect(pidOf()).toBe(pid);
});

test('start throws when the program does not exist, and leaves no unit behind', async () => {
  await expect(services.start({ ...spec(''), command: ['/does/not/exist'] })).rejects.toThrow(/cannot be started/);
  expect(await services.list()).toEqual([]);
  expect(existsSync(runFile())).toBe(false);
});

test('a unit that crashes is told with how it ended, at once', async () => {
  await services.start(spec(FOREVER));
  const exit = nextExit();
  const killedAt = performance.now();
  process.kill(pidOf(), 'SIGKILL');
  expect(await exit).toMatchObject({ unit: UNIT, wanted: false, how: 'signal SIGKILL' });
  expect(performance.now() - killedAt).toBeLessThan(1_000);
  expect(existsSync(runFile())).toBe(false);
});

test('stop lets a unit drain and end by itself', async () => {
  await services.start(spec(`process.on('SIGTERM', () => process.exit(0)); ${FOREVER}`));
  await isUp();
  const exit = nextExit();
  await services.stop(UNIT, 10_000);
  expect(await exit).toMatchObject({ wanted: true, how: 'exit code 0' });
});

test('stop kills a unit that does not end in time, also over a restart of the manager', async () => {
  await services.start(spec(STUBBORN));
  await isUp();
  const pid = pidOf();
  await services.stop(UNIT, 1_000);
  expect(await services.list()).toMatchObject([{ unit: UNIT, phase: 'stopping' }]);
  services.close();
  services = await open();
  await waitFor('the unit to be killed', () => !isAlive(pid));
});

test('stop kills a unit in time, and not before, however the time jumps meanwhile', async () => {
  services.close();
  let jumpMs = 0;
  services = await open({ ...systemClock, now: () => Date.now() + jumpMs });
  await services.start(spec(`process.on('SIGUSR2', () => process.stdout.write('alive')); ${STUBBORN}`));
  await isUp();
  const pid = pidOf();
  await services.stop(UNIT, 60_000);
  jumpMs = 3_600_000;
  await services.list();
  process.kill(pid, 'SIGUSR2');
  await waitFor('the unit to answer', () => readFileSync(logFile(), 'utf8').includes('alive'));
  services.close();
  jumpMs = -3_600_000;
  const adopted = JSON.parse(readFileSync(runFile(), 'utf8')) as object;
  writeFileSync(runFile(), JSON.stringify({ ...adopted, stopWithinMs: 0 }));
  services = await open({ ...systemClock, now: () => Date.now() + jumpMs });
  await waitFor('the unit to be killed', () => !isAlive(pid));
});

test('stop lets a unit drain also when nothing can be written any more', async () => {
  await services.start(spec(`process.on('SIGTERM', () => process.exit(0)); ${FOREVER}`));
  await isUp();
  rmSync(join(dataDir, 'run'), { recursive: true });
  writeFileSync(join(dataDir, 'run'), 'no folder');
  const exit = nextExit();
  await services.stop(UNIT, 60_000);
  expect(await exit).toMatchObject({ wanted: true, how: 'exit code 0' });
  rmSync(join(dataDir, 'run'));
});

test('a new manager adopts running units and is told of their end at once', async () => {
  await services.start(spec(FOREVER));
  const pid = pidOf();
  services.close();
  services = await open();
  expect(await services.list()).toMatchObject([{ unit: UNIT, phase: 'running', configDigest: 'digest' }]);
  const exit = nextExit();
  const killedAt = performance.now();
  process.kill(pid, 'SIGKILL');
  await exit;
  expect(performance.now() - killedAt).toBeLessThan(1_000);
});

test('a new manager finds a unit whose run file was never written', async () => {
  await services.start(spec(FOREVER));
  const pid = pidOf();
  services.close();
  rmSync(runFile());
  services = await open();
  expect(await services.list()).toMatchObject([{ unit: UNIT, configDigest: 'digest' }]);
  expect(pidOf()).toBe(pid);
});

test('a pid that another program got since is neither adopted nor killed', async () => {
  await services.start(spec(FOREVER));
  const run = JSON.parse(readFileSync(runFile(), 'utf8')) as { pid: number; unit: string };
  const exit = nextExit();
  process.kill(run.pid, 'SIGKILL');
  await exit;
  services.close();
  const innocent = spawn(process.execPath, ['-e', FOREVER], { stdio: 'ignore' });
  await once(innocent, 'spawn');
  writeFileSync(runFile(), JSON.stringify({ ...run, pid: innocent.pid }));
  services = await open();
  expect(await services.list()).toEqual([]);
  await services.stopAll(0);
  expect(isAlive(innocent.pid as number)).toBe(true);
  innocent.kill('SIGKILL');
  await once(innocent, 'exit');
});

test('a damaged run file is removed and does not hinder the others', async () => {
  await services.start(spec(FOREVER));
  services.close();
  writeFileSync(runFile('orama-broken'), '{"unit": "orama-br');
  services = await open();
  expect((await services.list()).map(({ unit }) => unit)).toEqual([UNIT]);
  expect(existsSync(runFile('orama-broken'))).toBe(false);
});

test('runningUnits tells what runs on a data directory beside its manager, and nothing on one that is not there', async () => {
  await services.start(spec(FOREVER));
  rmSync(runFile());
  expect(await runningUnits(dataDir)).toEqual([UNIT]);
  expect(existsSync(runFile())).toBe(false);
  expect(await runningUnits(join(dataDir, 'nothing'))).toEqual([]);
});

test('stopAllServices leaves no process, stubborn ones included', async () => {
  await services.start(spec(STUBBORN));
  await services.start(spec(FOREVER, 'orama-test@two'));
  await isUp();
  const pids = [pidOf(), pidOf('orama-test@two')];
  services.close();
  await stopAllServices(dataDir, 300, silentLogger);
  expect(pids.map(isAlive)).toEqual([false, false]);
});

test('a large log is set aside at the next start, and forget removes what is left of a unit', async () => {
  writeFileSync(logFile(), '');
  truncateSync(logFile(), 11 * 1024 * 1024);
  await services.start(spec(`process.stdout.write('up\\n')`));
  await isUp();
  expect(statSync(`${logFile()}.1`).size).toBe(11 * 1024 * 1024);
  await waitFor('the unit to end', async () => (await services.list()).length === 0);
  await services.forget(UNIT);
  expect([existsSync(logFile()), existsSync(`${logFile()}.1`)]).toEqual([false, false]);
});

test.each([
  ['is killed, which counts as a crash', () => {}],
  ['and whose run file was never written is adopted and killed, too', () => rmSync(runFile())],
])('a unit that hangs %s', async (_, lose) => {
  const health = { address: '127.92.11.1', port: 30_000 };
  const serve = `require('node:http').createServer((_, r) => r.end()).listen(30000, '127.92.11.1', () => console.log('up'));`;
  await services.start({ ...spec(serve), health });
  await isUp();
  await waitFor('an answer', async () => (await fetch('http://127.92.11.1:30000/healthz')).ok);
  const pid = pidOf();
  services.close();
  lose();
  services = await ProcessServices.open({ dataDir, logger: silentLogger, watchdogMs: 100 });
  const ended = nextExit();
  process.kill(pid, 'SIGSTOP');
  expect(await ended).toMatchObject({ unit: UNIT, wanted: false, how: 'a kill, because it did not answer' });
  expect(isAlive(pid)).toBe(false);
});
