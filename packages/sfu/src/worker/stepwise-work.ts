/** How long work goes on before packets have their turn. */
const SLICE_MS = 0.5;

/** Does work that consists of many small steps, and lets the event loop have its turn every half millisecond. */
export class StepwiseWork {
  #steps: Iterator<unknown> | undefined;

  get isUnderWay(): boolean {
    return this.#steps !== undefined;
  }

  /** Does the first steps now and the others soon, in place of what was under way. An error of a step is thrown where it happens. */
  begin(steps: Iterator<unknown>): void {
    const isResting = this.#steps === undefined;
    this.#steps = steps;
    if (isResting) this.#goOn();
  }

  /** Leaves out what has not been done. */
  stop(): void {
    this.#steps = undefined;
  }

  readonly #goOn = (): void => {
    const end = performance.now() + SLICE_MS;
    try {
      while (this.#steps !== undefined && performance.now() < end) {
        if (this.#steps.next().done === true) this.#steps = undefined;
      }
    } catch (thrown) {
      this.#steps = undefined;
      throw thrown;
    }
    if (this.#steps !== undefined) setImmediate(this.#goOn);
  };
}
