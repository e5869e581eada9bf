import { describe, expect, it } from 'vitest';
import { readApiKey } from './credentials.ts';

const KEY = 'ok_0123456789abcdef';

describe('readApiKey', () => {
  it('reads X-API-Key, then Authorization: ApiKey or Bearer, then the query of a WebSocket', () => {
    const query = new URLSearchParams({ api_key: `${KEY}-query` });
    expect(readApiKey({ 'x-api-key': KEY, authorization: `ApiKey ${KEY}-other` }, query)).toBe(KEY);
    expect(readApiKey({ authorization: `apikey ${KEY}` }, query)).toBe(KEY);
    expect(readApiKey({ authorization: `Bearer ${KEY}` }, null)).toBe(KEY);
    expect(readApiKey({}, query)).toBe(`${KEY}-query`);
  });

  it.each([
    ['nothing', {}, null, 'missing'],
    ['an empty header', { 'x-api-key': '' }, null, 'missing'],
    ['another scheme', { authorization: 'Basic YTpi' }, null, 'not understood'],
    ['a scheme alone', { authorization: 'ApiKey' }, null, 'not understood'],
    ['a key that is too short', { 'x-api-key': 'short' }, null, 'not valid'],
    ['a key that is too long', { 'x-api-key': 'k'.repeat(257) }, null, 'not valid'],
    ['a key with a space', { 'x-api-key': 'ok_0123456789 abcdef' }, null, 'not valid'],
    ['a token in the query', {}, new URLSearchParams({ token: KEY }), 'tokens are not accepted'],
  ])('refuses %s', (_what, headers, query, message) => {
    expect(() => readApiKey(headers, query)).toThrow(message);
  });
});
