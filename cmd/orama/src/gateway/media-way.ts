import { type Clock, describeError, OramaError, systemClock } from '@orama/core';
import { type StunUri, stunUriSchema, type TurnCredentials } from '@orama/protocol';
import { TurnBridge } from '@orama/turn/bridge';

const LOOPBACK = '127.0.0.1';
/** The best first; TLS is for networks that let nothing else out. */
const TRANSPORTS: readonly StunUri['transport'][] = ['udp', 'tcp', 'tls'];
/** So long a way is tried alone: a firewall that drops packets never says no. */
const HEAD_START_MS = 300;
const OPEN_TIMEOUT_MS = 5_000;

/**
 * Opens a way for media through a namespace's TURN servers: UDP before TCP before TLS, the first that gives an allocation.
 * @param onBroken called when the way broke later
 * @throws OramaError with what each server said when none does
 */
export async function openMediaWay(
  credentials: TurnCredentials,
  onBroken: (thrown: unknown) => void,
  clock: Clock = systemClock,
): Promise<TurnBridge> {
  const uris = TRANSPORTS.flatMap((transport) =>
    credentials.uris.flatMap((uri) => (transportOf(uri) === transport ? [{ uri, transport }] : [])),
  );
  const ways: Promise<TurnBridge>[] = [];
  let first: TurnBridge | undefined;
  for (const { uri, transport } of uris) {
    const one = { ...credentials, uris: [uri] };
    const options = { credentials: one, transport, localAddress: LOOPBACK, openTimeoutMs: OPEN_TIMEOUT_MS, onBroken };
    const way = TurnBridge.open(options);
    ways.push(way);
    const settled = way.then(
      (opened) => {
        if (first) void opened.close();
        else first = opened;
      },
      () => undefined,
    );
    const { promise: isOver, resolve: endHeadStart } = Promise.withResolvers<void>();
    const headStart = clock.after(HEAD_START_MS, endHeadStart);
    await Promise.race([settled, isOver]);
    headStart.cancel();
    if (first) return first;
  }
  try {
    return await Promise.any(ways);
  } catch (thrown) {
    const { errors } = thrown as AggregateError;
    const failures = errors.map((why, index) => `${uris[index]?.uri}: ${describeError(why)}`);
    throw new OramaError(
      'UNAVAILABLE',
      `no TURN server of the namespace gives a way: ${failures.join('; ') || 'it has none'}`,
      { hint: 'see "orama turn check" and "orama turn status"' },
    );
  }
}

function transportOf(uri: string): StunUri['transport'] | undefined {
  return stunUriSchema.safeParse(uri).data?.transport;
}
