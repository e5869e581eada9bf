/** Shows that something goes on. On a terminal a spinner, elsewhere one plain line for each new text. */
export interface Progress {
  /** What is being waited for now. */
  update(text: string): void;
  /** A step that is finished and stays visible. */
  step(text: string): void;
  succeed(text: string): void;
  fail(text: string): void;
  /** Ends without a last word. */
  stop(): void;
}

const SILENT: Progress = { update() {}, step() {}, succeed() {}, fail() {}, stop() {} };

export async function createProgress(stream: NodeJS.WriteStream, text: string, silent: boolean): Promise<Progress> {
  if (silent) return SILENT;
  // Some containers have a terminal without a width; a spinner would break its lines at every letter.
  return stream.isTTY && stream.columns > 0 ? createSpinner(stream, text) : createPlain(stream, text);
}

async function createSpinner(stream: NodeJS.WriteStream, text: string): Promise<Progress> {
  // Scripts, which run most commands, have no terminal and need not load it.
  const { default: ora } = await import('ora');
  // discardStdin would put the terminal into raw mode and swallow Ctrl-C.
  const spinner = ora({ text, stream, discardStdin: false }).start();
  return {
    update(next) {
      spinner.text = next;
    },
    step(done) {
      const waitingFor = spinner.text;
      spinner.succeed(done);
      spinner.start(waitingFor);
    },
    succeed: (done) => void spinner.succeed(done),
    fail: (reason) => void spinner.fail(reason),
    stop: () => void spinner.stop(),
  };
}

function createPlain(stream: NodeJS.WriteStream, text: string): Progress {
  let last = '';
  const line = (next: string) => {
    if (next === last) return;
    last = next;
    stream.write(`${next}\n`);
  };
  line(text);
  return {
    update: line,
    step: (done) => line(`  done: ${done}`),
    succeed: (done) => line(done),
    fail: (reason) => line(`failed: ${reason}`),
    stop() {},
  };
}
