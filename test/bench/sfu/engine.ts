/** Where and how clients reach an SFU that runs. */
export type Target = { kind: 'orama'; url: string; namespace: string; secret: string } | { kind: 'janus'; url: string };

/** An SFU to be measured. */
export interface Engine {
  readonly name: string;
  /** What is started and with which settings, for the report. */
  readonly description: string;
  /** Starts it with the words `placed` before its command and files of its own in `directory`; resolves when it answers. */
  start(placed: readonly string[], directory: string): Promise<RunningEngine>;
}

export interface RunningEngine {
  readonly pid: number;
  readonly target: Target;
  /** Resolves when it has got over the load before and takes clients again. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}
