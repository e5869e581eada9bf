// The part of node-turn (as patched in patches/) that is used here; the package brings no types.
declare module 'node-turn' {
  interface NodeTurnAllocation {
    readonly user: { readonly username: string };
    /** Ends it: timer, table entry and relay sockets. */
    close(): void;
  }

  interface NodeTurnOptions {
    listeningIps: string[];
    listeningPort: number;
    authMech: 'long-term';
    realm: string;
    /** The password of a username, or undefined for nobody. Asked once or twice for each request. */
    credentials: (username: string) => string | undefined;
    maxAllocateLifetime: number;
    defaultAllocatetLifetime: number;
    debugLevel: 'ERROR';
    log: (message: unknown) => void;
  }

  /** Listens on UDP only. */
  export default class NodeTurnServer {
    constructor(options: NodeTurnOptions);
    /** Where relay addresses are made; read at each Allocate, like the ports. */
    relayIps: string[];
    minPort: number;
    maxPort: number;
    /** By 5-tuple. */
    readonly allocations: Record<string, NodeTurnAllocation>;
    readonly allocate: {
      /** Whether a username may have one more allocation; 486 if not. */
      checkQuota: (username: string) => boolean;
    };
    readonly network: {
      /** One for each listening address, once started. */
      readonly sockets: readonly import('node:dgram').Socket[];
    };
    /** Begins to bind; each socket tells by its own 'listening' or 'error'. */
    start(): void;
    /** Closes the listening sockets. */
    stop(): void;
  }
}
