import { z } from 'zod';

/** Which store a process uses. The replicated driver will be a second member of this union. */
export const storeConfigSchema = z.discriminatedUnion('driver', [
  z.strictObject({ driver: z.literal('sqlite'), file: z.string().min(1) }),
]);
export type StoreConfig = z.infer<typeof storeConfigSchema>;
