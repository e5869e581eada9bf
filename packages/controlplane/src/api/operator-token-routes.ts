import { createOperatorTokenSchema, operatorTokenNameSchema, revokeOperatorTokenSchema } from '@orama/protocol';
import { createOperatorToken, listOperatorTokens, revokeOperatorToken } from '../operations/operator-tokens.ts';
import { parseBody, parseInput, type Route } from './route.ts';

/**
 * Tokens of operators, below `/operator-tokens`. They are made and ended with the cluster key alone: one that leaks
 * must not outlive its end by another one that it made.
 */
export function operatorTokenRoutes(): Route[] {
  return [
    [
      'GET',
      /^\/operator-tokens$/,
      async ({ context }) => ({ status: 200, body: { tokens: await listOperatorTokens(context) } }),
      'viewer',
    ],
    [
      'POST',
      /^\/operator-tokens$/,
      async (call) => ({
        status: 201,
        body: await createOperatorToken(call.context, parseBody(createOperatorTokenSchema, call)),
      }),
    ],
    [
      'POST',
      /^\/operator-tokens\/([^/]+)\/revoke$/,
      async (call) => {
        const name = parseInput(operatorTokenNameSchema, call.subjects[0], 'the name of the token');
        await revokeOperatorToken(call.context, name, parseBody(revokeOperatorTokenSchema, call).requestedBy);
        return { status: 204 };
      },
    ],
  ];
}
