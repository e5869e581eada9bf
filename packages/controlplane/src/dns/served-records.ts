import type { View } from '../reconcile/store-view.ts';
import { gatewayRecords } from './gateway-names.ts';
import type { DnsRecord } from './writer.ts';

/** All records that are to be served: those stored, and those that follow from the nodes. */
export async function servedRecords(view: View, config: Parameters<typeof gatewayRecords>[2]): Promise<DnsRecord[]> {
  return [...(await view.records()), ...gatewayRecords(view.desired, await view.nodes(), config)];
}
