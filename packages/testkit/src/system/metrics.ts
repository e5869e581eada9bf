import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

/** Every series of a daemon's /metrics with its value. Leaves no connection open behind it. */
export async function readMetrics(internal: { address: string; port: number }): Promise<Map<string, number>> {
  const request = get({ host: internal.address, port: internal.port, path: '/metrics', agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const lines = (await text(response)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}
