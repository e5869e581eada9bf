// `pnpm bench <name>`: measurements that take time and a quiet machine, and so are no tests.
import { benchTurn } from './turn/bench.ts';

const BENCHES: Record<string, (args: string[]) => Promise<void>> = { turn: benchTurn };

const [name = '', ...args] = process.argv.slice(2);
const bench = BENCHES[name];
if (bench === undefined) {
  console.error(
    `error: there is no benchmark "${name}"\nnext: pnpm bench ${Object.keys(BENCHES).join(' | ')} [--help]`,
  );
  process.exitCode = 2;
} else {
  await bench(args);
}
