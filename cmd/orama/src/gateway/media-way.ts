import { describeError, OramaError } from '@orama/core';
import type { TurnCredentials } from '@orama/protocol';
import { TurnBridge } from '@orama/turn/bridge';

const LOOPBACK = '127.0.0.1';

/**
 * Opens a way for media through a namespace's TURN servers: UDP before TCP, the first that gives an allocation.
 * @param onBroken called when the way broke later
 * @throws OramaError with what each server said when none does
 */
export async function openMediaWay(
  credentials: TurnCredentials,
  onBroken: (thrown: unknown) => void,
): Promise<TurnBridge> {
  const failures: string[] = [];
  for (const transport of ['udp', 'tcp'] as const) {
    for (const uri of credentials.uris.filter((uri) => uri.endsWith(`?transport=${transport}`))) {
      try {
        const one = { ...credentials, uris: [uri] };
        return await TurnBridge.open({ credentials: one, transport, localAddress: LOOPBACK, onBroken });
      } catch (thrown) {
        failures.push(`${uri}: ${describeError(thrown)}`);
      }
    }
  }
  throw new OramaError(
    'UNAVAILABLE',
    `no TURN server of the namespace gives a way: ${failures.join('; ') || 'it has none'}`,
    {
      hint: 'see "orama turn check" and "orama turn status"',
      retryable: true,
    },
  );
}
