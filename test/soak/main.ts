// `pnpm soak turn [--real [--workers N]] [--clients 500] [--minutes N] [--seed S]`
import { readCommandLine, refuse } from '../support/command-line.ts';
import type { Footprint } from './footprint.ts';
import { realPace, virtualPace } from './pace.ts';
import { SeparateServer } from './separate-server.ts';
import { LocalServer } from './server.ts';
import { soak } from './soak.ts';

const USAGE =
  'usage: pnpm soak turn [--real [--workers <1>]] [--clients 500] [--minutes <60, with --real 30>] [--seed <number>]';
const REPORT_EVERY_SEC = 300;

const { values, positionals } = readCommandLine(USAGE, {
  real: { type: 'boolean', default: false },
  clients: { type: 'string', default: '500' },
  minutes: { type: 'string' },
  seed: { type: 'string', default: '1' },
  workers: { type: 'string', default: '1' },
});
const clients = Number(values.clients);
const minutes = Number(values.minutes ?? (values.real ? 30 : 60));
const seed = Number(values.seed);
const workers = Number(values.workers);
if (positionals.join() !== 'turn') refuse(USAGE, 'say what to soak: turn');
if (!(clients >= 1) || !(minutes > 0) || ![seed, workers].every(Number.isSafeInteger))
  refuse(USAGE, 'an option is no usable number');
if (workers !== 1 && !values.real) refuse(USAGE, 'workers on threads have the time of the system: add --real');

console.log(
  `${clients} clients, ${workers} workers, ${minutes} minutes of ${values.real ? 'real' : 'virtual'} time, seed ${seed}`,
);
const startedAt = performance.now();
const pace = values.real ? realPace() : virtualPace();
// Virtual time is one clock of server and clients. Otherwise only a process of its own shows what is the server's.
const server = values.real ? await SeparateServer.start(workers) : await LocalServer.start(1, pace);
const { tally, before, after, faults } = await soak(server, {
  clients,
  seconds: Math.ceil(minutes * 60),
  pace,
  seed,
  onProgress: (second, { clients: come, echoes }, alive) => {
    if (second % REPORT_EVERY_SEC !== 0) return;
    console.log(`${second / 60} min: ${alive} clients, ${come} so far, ${echoes} echoes`);
  },
}).finally(() => server.close());
const tookSec = Math.round((performance.now() - startedAt) / 1000);
console.log(`${tally.clients} clients in ${tookSec} s, ${tally.vanished} of them vanished`);
console.log(`${tally.requests} requests, ${tally.echoes} packets to the peer and back`);
console.log(`before: ${describe(before)}`);
console.log(`after:  ${describe(after)}`);
for (const fault of faults) console.log(`FAILED ${fault}`);
console.log(faults.length === 0 ? 'all flat, every relay port returned' : `${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

function describe({ memoryBytes, residentBytes, descriptors, resources, metrics }: Footprint): string {
  const counts = Object.entries({ ...resources, ...metrics }).map(([name, count]) => `${name} ${count}`);
  return `memory ${mebibytes(memoryBytes)}, resident ${mebibytes(residentBytes)}, ${descriptors} open files and sockets, ${counts.join(', ')}`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
