import { z } from 'zod';

/** What opens this node's ports in the firewall of its machine. */
export const firewallConfigSchema = z
  .strictObject({
    /** `none`: whoever runs the machine does. */
    driver: z.enum(['none', 'ufw', 'nftables']),
  })
  .default({ driver: 'none' });
export type FirewallConfig = z.infer<typeof firewallConfigSchema>;
