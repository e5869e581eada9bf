import type { PermittedHost, RelayPort } from '../relay/relay.ts';

/** Life of a permission (RFC 8656 section 9). */
const PERMISSION_MS = 300_000;

interface Permission {
  host: PermittedHost;
  expiresAtMs: number;
}

/** The permissions of one allocation, by peer address. Tells the relay port what begins and what ends. */
export class Permissions {
  readonly #byAddress = new Map<string, Permission>();
  readonly #port: RelayPort;
  readonly #max: number;

  constructor(port: RelayPort, max: number) {
    this.#port = port;
    this.#max = max;
  }

  get size(): number {
    return this.#byAddress.size;
  }

  has(address: string): boolean {
    return this.#byAddress.has(address);
  }

  /** Whether these addresses can all be installed without passing the limit. */
  hasRoomFor(addresses: readonly string[]): boolean {
    const fresh = new Set(addresses.filter((address) => !this.#byAddress.has(address)));
    return this.#byAddress.size + fresh.size <= this.#max;
  }

  /** Installs or refreshes a permission; it lives five minutes from now. */
  install(host: PermittedHost, nowMs: number): void {
    this.#byAddress.set(host.address, { host, expiresAtMs: nowMs + PERMISSION_MS });
    this.#port.permit(host);
  }

  /** Ends every permission whose time has come. */
  sweep(nowMs: number): void {
    for (const { host, expiresAtMs } of this.#byAddress.values()) if (expiresAtMs <= nowMs) this.#end(host.address);
  }

  /** Ends every permission of a peer that `ends` is true for. */
  endWhere(ends: (address: string) => boolean): void {
    for (const { host } of this.#byAddress.values()) if (ends(host.address)) this.#end(host.address);
  }

  /** Judges every permission again after the tenant's policy changed; `judge` returns undefined to end one. */
  rejudge(judge: (address: string) => PermittedHost | undefined): void {
    for (const permission of this.#byAddress.values()) {
      const host = judge(permission.host.address);
      if (host === undefined) {
        this.#end(permission.host.address);
      } else {
        permission.host = host;
        this.#port.permit(host);
      }
    }
  }

  #end(address: string): void {
    this.#byAddress.delete(address);
    this.#port.revoke(address);
  }
}
