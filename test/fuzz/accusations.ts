/** Keeps what is wrong, first things first, for whoever asks. Throws nothing. */
export class Accusations {
  #wrong: string | undefined;

  /** What was wrong first since this was asked. */
  takeWrong(): string | undefined {
    const wrong = this.#wrong;
    this.#wrong = undefined;
    return wrong;
  }

  accuse(what: string): void {
    this.#wrong ??= what;
  }
}
