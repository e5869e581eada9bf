import { z } from 'zod';

/**
 * API of the controlplane for operators who come from outside: the calls of controlplane-api.ts that a token may make,
 * below this prefix. A gateway hands them to its node's controlplane, which judges the token.
 */
export const OPERATOR_API_PREFIX = '/v1/operator';

/** `viewer` reads, `operator` changes as well. What only a holder of the cluster key may do is open to neither. */
export const operatorScopeSchema = z.enum(['viewer', 'operator'], {
  error: 'use operator, or viewer for one that only reads',
});
export type OperatorScope = z.infer<typeof operatorScopeSchema>;

/** `orama_op_<id>.<secret>`: the id finds the token, the secret proves it. */
export const OPERATOR_TOKEN = /^orama_op_([a-z0-9]{16})\.([A-Za-z0-9_-]{43})$/;

const TOKEN_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
export const operatorTokenNameSchema = z.string().regex(TOKEN_NAME, {
  error: 'use 1-64 characters of a-z, 0-9, ".", "_" and "-", beginning and ending with a letter or digit',
});

const DAY_SEC = 86_400;
export const createOperatorTokenSchema = z.strictObject({
  name: operatorTokenNameSchema,
  scope: operatorScopeSchema.default('operator'),
  ttlSec: z
    .int()
    .min(60)
    .max(730 * DAY_SEC)
    .default(90 * DAY_SEC),
  requestedBy: z.string().max(128).default('operator'),
});
export type CreateOperatorToken = z.infer<typeof createOperatorTokenSchema>;

export const revokeOperatorTokenSchema = z.strictObject({ requestedBy: z.string().max(128).default('operator') });

/** A token as everybody may see it. */
export const operatorTokenViewSchema = z.object({
  name: z.string(),
  scope: operatorScopeSchema,
  createdBy: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  expired: z.boolean(),
});
export type OperatorTokenView = z.infer<typeof operatorTokenViewSchema>;
export const operatorTokenListSchema = z.object({ tokens: z.array(operatorTokenViewSchema) });

/** The token itself is shown once, here; the store keeps only a hash. */
export const createdOperatorTokenSchema = operatorTokenViewSchema.extend({ token: z.string() });
export type CreatedOperatorToken = z.infer<typeof createdOperatorTokenSchema>;
