// `pnpm bench <name>`: measurements that take time and a quiet machine, and so are no tests.
import { refuse } from '../support/command-line.ts';
import { benchEnable } from './enable/bench.ts';
import { benchReconcile } from './reconcile/bench.ts';
import { benchSfu } from './sfu/bench.ts';
import { benchTurn } from './turn/bench.ts';

const BENCHES: Record<string, (args: string[]) => Promise<void>> = {
  enable: benchEnable,
  reconcile: benchReconcile,
  sfu: benchSfu,
  turn: benchTurn,
};

const [name = '', ...args] = process.argv.slice(2);
const usage = `usage: pnpm bench ${Object.keys(BENCHES).join(' | ')} [--help]`;
const bench = BENCHES[name];
if (name === '--help') console.log(usage);
else if (bench === undefined) refuse(usage, `there is no benchmark "${name}"`);
else await bench(args);
