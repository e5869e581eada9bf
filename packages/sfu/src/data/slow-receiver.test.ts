import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { CHANNEL_BYTE_RATE, CHANNEL_MESSAGE_MAX_BYTES } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RunningSfu, startSfu } from '../testing/running-sfu.ts';
import { type ReceivedChannel, TestPeer, until } from '../testing/test-peer.ts';

const STALLING_PEER = fileURLToPath(new URL('../testing/stalling-peer.ts', import.meta.url));

let sfu: RunningSfu;
let ann: TestPeer;
let bob: TestPeer;
let stalling: ChildProcess;

beforeEach(async () => {
  sfu = await startSfu();
  [ann, bob] = [await TestPeer.join(sfu), await TestPeer.join(sfu)];
});
afterEach(async () => {
  stalling.kill('SIGKILL');
  await Promise.all([ann.end(), bob.end()]);
  await sfu.sfu.stop();
});

/** Sends whole messages at nearly the rate a peer may, until a condition holds. */
async function fill(opened: ReceivedChannel, check: () => unknown): Promise<number> {
  const message = Buffer.alloc(CHANNEL_MESSAGE_MAX_BYTES, 1);
  const startedMs = performance.now();
  let sent = 0;
  await until('the receiver to be given up', () => {
    const allowed =
      CHANNEL_BYTE_RATE.burst / 2 + ((performance.now() - startedMs) / 1_000) * CHANNEL_BYTE_RATE.perSec * 0.9;
    while ((sent + 1) * message.length < allowed && opened.channel.send(message)) sent++;
    return check();
  });
  return sent;
}

/** Opens a channel and starts a peer that stops in the middle of receiving from it. */
async function openToStalled(protocol: string, reliability = {}): Promise<ReceivedChannel> {
  const opened = await ann.openChannel('file', protocol, reliability);
  const { url, ticket } = sfu.admission();
  stalling = spawn(process.execPath, ['--conditions=source', STALLING_PEER, url, ticket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let receiving = false;
  if (stalling.stdout) void once(stalling.stdout, 'data').then(() => (receiving = true));
  await until('the peer to receive', () => {
    opened.channel.send('hello');
    return receiving;
  });
  stalling.kill('SIGSTOP');
  return opened;
}

test('a receiver that stops reading loses its copy of a reliable channel, is told, and nobody else is touched', async () => {
  const opened = await openToStalled('');
  const sent = await fill(opened, () => ann.frames.some((frame) => frame.type === 'error'));
  const told = await ann.next('error', ({ code }) => code === 'channel_overflow');
  expect(told.message).toContain('"file"');
  const copy = await bob.channelFrom(ann.id, 'file');
  await until('Bob to have everything', () => copy.messages.filter((message) => message !== 'hello').length >= sent);
  expect(opened.closed).toBe(false);
});

test('a receiver that stops reading loses messages of an unreliable channel, which stays open', async () => {
  const opened = await openToStalled('maxRetransmits=0', { maxRetransmits: 0 });
  await fill(opened, () => ann.frames.some((frame) => frame.type === 'error'));
  const told = await ann.next('error', ({ code }) => code === 'channel_overflow');
  expect(told.message).toContain('dropped');
  expect(opened.closed).toBe(false);
  const { body } = await sfu.http('GET', '/metrics');
  expect(String(body)).toMatch(/^orama_sfu_data_channel_legs(?:\{.*\})? 2$/m);
});
