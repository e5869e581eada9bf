import type { TurnTenant, TurnTenantLine, TurnTenantUsage } from '@orama/protocol';
import type { ServedCertificates } from '../certificates/secure-contexts.ts';
import type { BoundPortsMemory } from '../relay/bound-ports.ts';
import type { ByteBudgetMemory } from '../tenant/shared-byte-budget.ts';
import type { WorkerReport } from './worker-report.ts';

/** What a tenant's shares in all workers have in common. */
export interface TenantMemory {
  readonly bytes: ByteBudgetMemory | undefined;
  /** Of its relay addresses. */
  readonly boundPorts: BoundPortsMemory;
}

/** A worker as the service sees it: on the same thread, or behind messages on one of its own. */
export interface WorkerHandle {
  readonly id: number;
  /** Opens its listeners; rejects with the system's error, and then everything is closed again. */
  start(): Promise<void>;
  /** All addresses of this node, refused as peers from now on unless a tenant's `peers` names them. */
  own(addresses: readonly string[]): void;
  /** Attaches a tenant or updates it; resolves when allocations that its new settings end are closed. */
  attach(config: TurnTenant, memory: TenantMemory): Promise<void>;
  /** Detaches a tenant; resolves, when its sockets are closed, with what it has done; undefined when it was not there. */
  detach(namespace: string): Promise<TurnTenantUsage | undefined>;
  /** Certificates for TLS connections from now on. */
  serve(certificates: ServedCertificates): void;
  /** Makes no allocation from now on. Newcomers are still listened to, over every transport, to be told who does. */
  drain(): void;
  /** Ends every allocation; what they have done is still in the reports. */
  endAllocations(): Promise<void>;
  report(): Promise<WorkerReport>;
  /** What it logged of a namespace since it was asked last. */
  takeLines(namespace: string): Promise<TurnTenantLine[]>;
  /** Ends every allocation and closes every socket. */
  close(): Promise<void>;
}
