// Runs every check of the repository, goes on after a failure, and counts.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

const RESULTS = '.orama/test';
const REPORT = `${RESULTS}/vitest.json`;
/** One line, `N passed, N failed`, for whoever runs this script. */
const SUMMARY = `${RESULTS}/summary.txt`;

const MAX_OUTPUT = 64 * 1024 * 1024;
/** Of why a test failed, at the end of everything; the whole of it is further up. */
const REASON_LENGTH = 240;

const CHECKS: [name: string, program: string, ...args: string[]][] = [
  ['lint', 'biome', 'check', '.'],
  ['types of the tests', 'tsc', '-p', 'tsconfig.tests.json'],
  ['dead code', 'knip'],
];

interface Report {
  numPassedTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
}

const chosen = process.argv.slice(2);
mkdirSync(RESULTS, { recursive: true });
for (const file of [REPORT, SUMMARY]) rmSync(file, { force: true });

const failures: string[] = [];
const [passed] = await Promise.all([runTests(), ...(chosen.length === 0 ? CHECKS.map(check) : [])]);
if (chosen.length === 0 && process.getuid?.() !== 0) {
  console.log(
    '\nleft out: the tests on real nodes, for which only root can make machines (sudo npx -y pnpm@12 test:nodes)',
  );
  if (process.env.CI) failures.push('tests on real nodes: CI has to run as root');
}
for (const failure of failures) console.log(`FAILED ${failure}`);
const summary = `${passed} passed, ${failures.length} failed`;
writeFileSync(SUMMARY, `${summary}\n`);
console.log(summary);
process.exitCode = failures.length === 0 ? 0 : 1;

/** Runs a check beside the tests, which begin with what takes one processor; what it prints comes at its end. */
function check([name, program, ...args]: (typeof CHECKS)[number]): Promise<void> {
  return new Promise((resolve) => {
    execFile(program, args, { maxBuffer: MAX_OUTPUT }, (error, stdout, stderr) => {
      console.log(`\n== ${name}: ${[program, ...args].join(' ')}\n${stdout}${stderr}`);
      if (error) failures.push(name);
      resolve();
    });
  });
}

/** Runs vitest over all projects; the number of tests that passed. Everything else of its report is a failure. */
async function runTests(): Promise<number> {
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`, ...chosen];
  console.log(`\n== tests: vitest ${args.join(' ')}`);
  const [status] = await once(spawn('vitest', args, { stdio: 'inherit' }), 'exit');
  let report: Report;
  try {
    report = JSON.parse(readFileSync(REPORT, 'utf8')) as Report;
  } catch {
    failures.push('tests: vitest wrote no report');
    return 0;
  }
  const before = failures.length;
  for (const { name, status: outcome, assertionResults } of report.testResults) {
    // A skipped test is one that was not run: it counts as failed.
    const bad = assertionResults.filter((test) => test.status !== 'passed');
    for (const test of bad) failures.push(`${test.status}: ${test.fullName}${reason(test.failureMessages)}`);
    if (outcome === 'failed' && bad.length === 0) failures.push(`file ${name}`);
  }
  if (report.numPassedTests === 0) failures.push('tests: none passed');
  else if (status !== 0 && failures.length === before) failures.push('tests: vitest failed outside of a test');
  return report.numPassedTests;
}

function reason([message = '']: string[]): string {
  const line = stripVTControlCharacters(message).split('\n    at ')[0]?.replace(/\s+/g, ' ').trim() ?? '';
  return line && `: ${line.slice(0, REASON_LENGTH)}`;
}
