/** Where a unit answers `/healthz`. */
export interface HealthAddress {
  address: string;
  port: number;
}

/** A program to keep running as a unit. */
export interface ServiceSpec {
  /** Unit name as systemd would have it, without `.service`: `orama-turn`, `orama-namespace-sfu@demo`. */
  unit: string;
  /** Absolute program and its arguments; of no meaning where the unit itself names them. */
  command: readonly string[];
  /** Hash over everything the program reads at start; a different one means it must be restarted. */
  configDigest: string;
  /** A unit that stops answering there is killed, which counts as a crash. */
  health?: HealthAddress;
}

/** A unit that has a process right now, or is about to have one again. */
export interface ServiceState {
  unit: string;
  /** `stopping`: told to end, not yet gone. `ended`: by itself, and the manager starts it again in a moment. */
  phase: 'running' | 'stopping' | 'ended';
  configDigest: string;
  startedAtMs: number;
}

/** The end of a unit's process. */
export interface ServiceExit {
  unit: string;
  uptimeMs: number;
  /** Whether we had told it to end. */
  wanted: boolean;
  /** `exit code 1`, `signal SIGKILL`; `unknown` of processes that only an earlier controlplane could have been told of. */
  how: string;
}

/**
 * Starts and stops units on this node. Services outlive the controlplane. `start` and `stop` only begin the work;
 * what became of it is seen in `list` and told by `onExit`.
 */
export interface ServiceManager {
  /** Every unit that has a process. */
  list(): Promise<ServiceState[]>;
  /** Starts the unit unless it has a process already. Throws when the program cannot be started at all. */
  start(spec: ServiceSpec): Promise<void>;
  /** Tells the unit to drain and end; kills it when it still lives after `deadlineMs`. Nothing happens when it is absent. */
  stop(unit: string, deadlineMs: number): Promise<void>;
  /** Removes what the manager keeps of a unit that has ended, such as its log. */
  forget(unit: string): Promise<void>;
  /** How often a unit was started again that is not one of these, such as the controlplane's; null where nothing starts it. */
  restartsOf(unit: string): Promise<number | null>;
  /** Calls `listener` after each end of a unit; the returned function unsubscribes. */
  onExit(listener: (exit: ServiceExit) => void): () => void;
  /** Stops watching. The units keep running. */
  close(): void;
}

export const CONTROLPLANE_UNIT = 'orama-controlplane';
export const GATEWAY_UNIT = 'orama-gateway';
export const TURN_UNIT = 'orama-turn';
/** A namespace on the node's TURN server, where systemd runs the services. */
export const TENANT_UNIT_PREFIX = 'orama-namespace-turn@';
export const SFU_UNIT_PREFIX = 'orama-namespace-sfu@';

export function sfuUnit(namespace: string): string {
  return `${SFU_UNIT_PREFIX}${namespace}`;
}

/** The namespace of an SFU unit, or null for any other unit. */
export function namespaceOfSfuUnit(unit: string): string | null {
  return unit.startsWith(SFU_UNIT_PREFIX) ? unit.slice(SFU_UNIT_PREFIX.length) : null;
}

/** What a unit is: the service (`gateway`, `turn`, `sfu`), and the namespace where it is of one. */
export function serviceOfUnit(unit: string): { service: string; namespace: string | null } {
  if (unit.startsWith(TENANT_UNIT_PREFIX)) return { service: 'turn', namespace: unit.slice(TENANT_UNIT_PREFIX.length) };
  const namespace = namespaceOfSfuUnit(unit);
  return namespace === null ? { service: unit.replace(/^orama-/, ''), namespace } : { service: 'sfu', namespace };
}
