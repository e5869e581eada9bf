import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { turnConfigSchema } from '@orama/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  backoffMs,
  ConfigFile,
  closeServer,
  createInternalServer,
  issueTurnCredentials,
  KeyedTokenBuckets,
  listen,
  loadConfigFile,
  parseTurnUsername,
  readSecretFile,
  SecretBox,
  TokenBucket,
  VirtualClock,
  writeFileAtomic,
} from './index.ts';
import { silentLogger } from './logger.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orama-core-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('VirtualClock', () => {
  it('runs due timers in order of time, each at its own time, and forgets cancelled ones', () => {
    const clock = new VirtualClock(0);
    const seen: string[] = [];
    clock.after(20, () => seen.push(`b@${clock.now()}`));
    clock.after(10, () => clock.after(5, () => seen.push(`a@${clock.now()}`)));
    const tick = clock.every(8, () => seen.push(`t@${clock.now()}`));
    clock.after(30, () => seen.push('never')).cancel();
    clock.advance(17);
    tick.cancel();
    clock.advance(100);
    expect(seen).toEqual(['t@8', 'a@15', 't@16', 'b@20']);
    expect(clock.pending).toBe(0);
  });
});

describe('TokenBucket', () => {
  it('never gives more than the burst and what the time refilled', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200), { maxLength: 100 }), (gaps) => {
        const bucket = new TokenBucket({ burst: 5, perSec: 10 }, 0);
        let now = 0;
        let taken = 0;
        for (const gap of gaps) {
          now += gap;
          if (bucket.take(now)) taken++;
        }
        expect(taken).toBeLessThanOrEqual(5 + now / 100);
      }),
    );
  });

  it('KeyedTokenBuckets forgets keys that are full again and holds its size', () => {
    const buckets = new KeyedTokenBuckets({ burst: 1, perSec: 1 }, 2);
    expect([buckets.take('a', 0), buckets.take('a', 0), buckets.take('b', 0), buckets.take('c', 0)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(buckets.take('c', 1000)).toBe(true);
    expect(buckets.size).toBe(1);
  });
});

it('backoffMs() stays between half and the whole of the doubled delay, and below the maximum', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      const delay = backoffMs(attempt, 100, 3000, () => random);
      const full = Math.min(3000, 100 * 2 ** attempt);
      expect(delay).toBeGreaterThanOrEqual(full / 2);
      expect(delay).toBeLessThanOrEqual(full);
    }),
  );
});

describe('SecretBox', () => {
  it('opens what it sealed, for the same key, purpose and context only', () => {
    const box = new SecretBox('cluster key', 'turn-secret');
    const sealed = box.seal('s3cret', 'demo');
    expect(sealed).not.toContain('s3cret');
    expect(box.open(sealed, 'demo')).toBe('s3cret');
    expect(box.seal('s3cret', 'demo')).not.toBe(sealed);
    expect(() => box.open(sealed, 'other')).toThrow();
    expect(() => new SecretBox('cluster key', 'else').open(sealed, 'demo')).toThrow();
    expect(() => box.open('s3cret', 'demo')).toThrow('malformed');
  });
});

describe('TURN credentials', () => {
  it('issueTurnCredentials() gives base64(HMAC-SHA1(secret, "<expiry>:<namespace>"))', () => {
    const made = issueTurnCredentials({
      secret: 'abc',
      namespace: 'demo',
      ttlSec: 600,
      uris: ['turn:x'],
      nowMs: 1_000_500,
    });
    const [expected] = [createHmac('sha1', 'abc').update('1600:demo').digest('base64')];
    expect(made).toEqual({ uris: ['turn:x'], username: '1600:demo', password: expected, ttl: 600 });
    const openssl = execFileSync('openssl', ['dgst', '-sha1', '-hmac', 'abc', '-binary'], {
      input: '1600:demo',
    }).toString('base64');
    expect(made.password).toBe(openssl);
  });

  it('parseTurnUsername() splits at the first colon and refuses other forms', () => {
    expect(parseTurnUsername('12:a:b')).toEqual({ expirySec: 12, namespace: 'a:b' });
    for (const bad of ['', 'demo', ':demo', '12:', 'x:demo', '-1:demo', '1e3:demo', '1234567890123:demo'])
      expect(parseTurnUsername(bad)).toBeNull();
  });
});

describe('files', () => {
  it('writeFileAtomic() writes 0600 and leaves no temporary file', async () => {
    const path = join(dir, 'a', 'b.json');
    await writeFileAtomic(path, 'one');
    await writeFileAtomic(path, 'two');
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(dir, 'a'))).toEqual(['b.json']);
  });

  it('loadConfigFile() lists every problem with its path', async () => {
    const path = join(dir, 'turn.json');
    writeFileSync(
      path,
      JSON.stringify({
        node: 'node-1',
        listen: ['nowhere'],
        port: 70000,
        realm: 'r',
        controlSocket: 's',
        internal: {},
        extra: 1,
      }),
    );
    const { message } = await loadConfigFile(turnConfigSchema, path).then(
      () => expect.fail(),
      (thrown: Error) => thrown,
    );
    for (const field of ['listen.0', 'port', 'internal.address', 'extra']) expect(message).toContain(field);
    await expect(loadConfigFile(turnConfigSchema, join(dir, 'none'))).rejects.toThrow('cannot be read');
    writeFileSync(path, '{"a": [');
    await expect(loadConfigFile(turnConfigSchema, path)).rejects.toThrow(`${path} is not JSON`);
  });

  it('loadConfigFile() takes a file of any other name than .json for YAML, of which JSON is a part', async () => {
    const path = join(dir, 'turn.yaml');
    const yaml =
      'node: node-1\nlisten: [127.0.0.1]\nrealm: r # a comment\ncontrolSocket: /s\ninternal: { address: 127.0.0.1 }\n';
    writeFileSync(path, yaml);
    const config = await loadConfigFile(turnConfigSchema, path);
    expect(config).toMatchObject({ node: 'node-1', listen: ['127.0.0.1'], realm: 'r' });
    writeFileSync(path, JSON.stringify(config));
    expect(await loadConfigFile(turnConfigSchema, path)).toEqual(config);
    writeFileSync(path, 'node: one\nnode: two\n');
    await expect(loadConfigFile(turnConfigSchema, path)).rejects.toThrow(/is not YAML: .*unique/);
  });

  it('ConfigFile tells what changed once, what cannot be used once, and what is good again', async () => {
    const path = join(dir, 'turn.json');
    const good = {
      node: 'node-1',
      listen: ['127.0.0.1'],
      realm: 'r',
      controlSocket: '/s',
      internal: { address: '127.0.0.1' },
    };
    writeFileSync(path, JSON.stringify(good));
    const file = new ConfigFile(turnConfigSchema, path);
    expect(await file.changed()).toMatchObject({ realm: 'r' });
    expect(await file.changed()).toBeUndefined();
    await writeFileAtomic(path, JSON.stringify({ ...good, realm: 's' }));
    expect(await file.changed()).toMatchObject({ realm: 's' });
    writeFileSync(path, JSON.stringify({ ...good, realm: 5 }));
    await expect(file.changed()).rejects.toThrow('realm');
    expect(await file.changed()).toBeUndefined();
    rmSync(path);
    await expect(file.changed()).rejects.toThrow(`${path} cannot be read`);
    expect(await file.changed()).toBeUndefined();
    writeFileSync(path, JSON.stringify(good));
    expect(await file.changed()).toMatchObject({ realm: 'r' });
  });

  it('readSecretFile() refuses a file that others can read, and an empty one', () => {
    const path = join(dir, 'secret');
    writeFileSync(path, 'abc\n', { mode: 0o600 });
    expect(readSecretFile(path)).toBe('abc');
    chmodSync(path, 0o640);
    expect(() => readSecretFile(path)).toThrow('readable by others');
    chmodSync(path, 0o600);
    writeFileSync(path, '\n');
    expect(() => readSecretFile(path)).toThrow('empty');
  });

  it('readSecretFile() takes what systemd lets the user of a unit read, and nothing that everybody can', () => {
    const path = join(dir, 'cluster.key');
    writeFileSync(path, 'abc\n');
    chmodSync(path, 0o440);
    expect(readSecretFile(path, dir)).toBe('abc');
    expect(() => readSecretFile(path, join(dir, 'of-another-unit'))).toThrow('readable by others');
    chmodSync(path, 0o444);
    expect(() => readSecretFile(path, dir)).toThrow('readable by others');
  });
});

describe('createInternalServer()', () => {
  it('answers over a Unix socket, with error bodies, and refuses a body over the limit', async () => {
    const server = createInternalServer(
      ({ path, body }) => (path === '/echo' ? { status: 200, body: { size: body.length } } : undefined),
      silentLogger,
    );
    const socketPath = join(dir, 's.sock');
    await listen(server, { path: socketPath });
    const call = (path: string, body: string) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const req = request({ socketPath, path, method: 'POST' }, (res) => {
          let text = '';
          res.on('data', (chunk) => {
            text += chunk;
          });
          res.on('end', () => resolve({ status: res.statusCode ?? 0, text }));
        });
        req.on('error', reject);
        req.end(body);
      });
    expect(await call('/echo', 'abc')).toEqual({ status: 200, text: '{"size":3}' });
    expect(await call('/none', '')).toMatchObject({ status: 404 });
    for (const odd of ['//', '//[', '/%', 'http://', '*']) expect(await call(odd, '')).toMatchObject({ status: 404 });
    expect(JSON.parse((await call('/echo', 'x'.repeat(300_000))).text)).toMatchObject({
      error: { code: 'PAYLOAD_TOO_LARGE' },
    });
    await closeServer(server);
  });
});
