import { OramaError } from '@orama/core';
import { ExecaError, execa } from 'execa';

const TIMEOUT_MS = 15_000;

/** Debian packages of the programs that a node is made with. */
const PACKAGES: Record<string, string> = {
  ip: 'iproute2',
  nft: 'nftables',
  systemctl: 'systemd',
  ufw: 'ufw',
  wg: 'wireguard-tools',
  'wireguard-go': 'wireguard-go',
  'wg-quick': 'wireguard-tools',
};

/**
 * Runs one of the system's programs to its end; what it printed. Throws UNAVAILABLE naming what to install when it is not
 * there, or saying what it said when it fails.
 * @param input for its standard input: the place of secrets, which are never arguments
 */
export async function runTool(
  program: string,
  args: readonly string[],
  { input = '', timeoutMs = TIMEOUT_MS }: { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  try {
    const { stdout } = await execa(program, args, { input, timeout: timeoutMs, env: { LC_ALL: 'C' } });
    return stdout;
  } catch (thrown) {
    if (!(thrown instanceof ExecaError)) throw thrown;
    if (thrown.code === 'ENOENT') {
      throw new OramaError('UNAVAILABLE', `the program ${program} is not installed`, {
        cause: thrown,
        hint: `on Debian: apt-get install -y ${PACKAGES[program] ?? program}`,
      });
    }
    const said = `${thrown.stderr ?? ''}`.trim() || thrown.shortMessage;
    throw new OramaError('UNAVAILABLE', `"${program} ${args.slice(0, 3).join(' ')}" failed: ${said}`, {
      cause: thrown,
    });
  }
}
