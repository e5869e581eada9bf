import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_DOMAIN, Bed, type RunningGateway } from '../../testing/bed.ts';
import { call } from '../../testing/client.ts';

describe('the call page', () => {
  let dir: string;
  let bed: Bed;
  let gateway: RunningGateway;
  const get = (path: string, options: Parameters<typeof call>[3] = {}) =>
    call(gateway, 'GET', path, { key: null, ...options });

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'orama-call-page-'));
    await mkdir(join(dir, 'page', 'assets'), { recursive: true });
    await writeFile(join(dir, 'secret.txt'), 'outside');
    await writeFile(join(dir, 'page', '.hidden'), 'hidden');
    await writeFile(join(dir, 'page', 'index.html'), '<!doctype html>');
    await writeFile(join(dir, 'page', 'assets', 'index-abc123.js'), 'export {};');
    bed = await Bed.open(['demo']);
    gateway = await bed.startGateway({ config: { callPage: true }, callPageDir: join(dir, 'page') });
  });
  afterAll(async () => {
    await bed.close();
    await rm(dir, { recursive: true });
  });

  it('is served without a credential, never cached, behind a strict policy', async () => {
    const page = await get('/call/');
    expect([page.status, page.body]).toEqual([200, '<!doctype html>']);
    expect(page.headers).toMatchObject({
      'content-type': expect.stringContaining('text/html'),
      'cache-control': 'no-store',
      'permissions-policy': 'camera=(self), microphone=(self)',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain(`connect-src 'self' ws://ns-demo.${BASE_DOMAIN} wss://ns-demo.${BASE_DOMAIN}`);
    expect(policy).not.toContain('unsafe');
  });

  it('sends /call to /call/, and lets hashed assets be cached', async () => {
    const bare = await get('/call?room=r');
    expect([bare.status, bare.headers.location]).toEqual([302, '/call/?room=r']);
    const asset = await get('/call/assets/index-abc123.js');
    expect([asset.status, asset.headers['cache-control']]).toEqual([200, 'public, max-age=31536000, immutable']);
  });

  it.each([
    '/call/../secret.txt',
    '/call/%2e%2e/secret.txt',
    '/call/..%2fsecret.txt',
    '/call/.hidden',
    '/call/nothing',
  ])('does not serve %s', async (path) => {
    const answer = await get(path);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(String(answer.body)).not.toMatch(/outside|hidden/);
  });

  it('does not repeat a strange Host in its policy', async () => {
    const page = await get('/call/', { host: "x;script-src'unsafe-inline'" });
    expect(String(page.headers['content-security-policy'] ?? '')).not.toContain('unsafe-inline');
  });

  it('is not there unless configured', async () => {
    const without = await bed.startGateway({ callPageDir: join(dir, 'page') });
    expect((await call(without, 'GET', '/call/')).status).toBe(404);
  });
});
