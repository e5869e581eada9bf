import { OPERATOR_TOKEN } from '@orama/protocol';
import { z } from 'zod';

/** The cluster of `orama dev start`; every list of environments has it. */
export const LOCAL_ENVIRONMENT = 'local';

export const apiUrlSchema = z.url({ protocol: /^http$/, error: 'use a URL such as http://10.0.0.1:6001' });

const URL_HINT = 'use a URL such as https://api.example.com; http is for loopback only';

/** A token or key must not cross a network in the clear. */
export const gatewayUrlSchema = z.url({ protocol: /^https?$/, error: URL_HINT }).refine(isPrivate, { error: URL_HINT });

export const environmentNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/i, 'use 1-64 characters of a-z, 0-9, ".", "_" and "-"')
  .refine((name) => name !== LOCAL_ENVIRONMENT, {
    error: `"${LOCAL_ENVIRONMENT}" is the cluster of "orama dev start"; use another name`,
  });

export const environmentSchema = z
  .strictObject({
    /** A gateway whose node serves operators. */
    url: gatewayUrlSchema.optional(),
    token: z.string().regex(OPERATOR_TOKEN, 'use a token of "orama token create"').optional(),
    tokenFile: z.string().min(1).optional(),
    /** Certificates of authorities to trust as well, PEM. */
    caFile: z.string().min(1).optional(),
    /** Controlplanes, where they can be reached: on a node, or inside WireGuard. */
    api: z.array(apiUrlSchema).min(1).optional(),
    clusterKeyFile: z.string().min(1).optional(),
    /** Owner API keys by namespace, for the commands about rooms. */
    apiKeys: z.record(z.string(), z.string().min(1)).default({}),
  })
  .refine(({ url, api }) => (url === undefined) !== (api === undefined), {
    error: 'give either url, with token or tokenFile, or api, with clusterKeyFile',
  })
  .refine(({ url, token, tokenFile }) => url === undefined || (token === undefined) !== (tokenFile === undefined), {
    error: 'url needs either token or tokenFile',
  })
  .refine(({ api, clusterKeyFile }) => (api === undefined) === (clusterKeyFile === undefined), {
    error: 'api and clusterKeyFile go together',
  });
export type Environment = z.infer<typeof environmentSchema>;

function isPrivate(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  // A number is written by URL as an address of four parts; "127.evil.example" is a name.
  return protocol === 'https:' || hostname === '[::1]' || /^(.+\.)?localhost$|^127(\.\d{1,3}){3}$/.test(hostname);
}
