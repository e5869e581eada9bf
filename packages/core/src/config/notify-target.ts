/** A service manager that wants to hear from this process. */
export interface NotifyTarget {
  /** Path of its datagram socket; one that begins with `@` is an abstract name. */
  socket: string;
  /** It takes a process that was silent for so long for one that hangs; undefined where it does not watch. */
  watchdogMs: number | undefined;
}

/** What systemd told this process of itself (sd_notify(3), sd_watchdog_enabled(3)); undefined where nobody listens. */
export function notifyTarget(environment: NodeJS.ProcessEnv = process.env): NotifyTarget | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdogUsec, WATCHDOG_PID: watchdogPid } = environment;
  if (!socket) return undefined;
  const isWatched = Number(watchdogUsec) > 0 && (watchdogPid === undefined || Number(watchdogPid) === process.pid);
  return { socket, watchdogMs: isWatched ? Number(watchdogUsec) / 1000 : undefined };
}
