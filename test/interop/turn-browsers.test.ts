import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeServer, issueTurnCredentials, listen } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { turnConfigSchema, turnTenantSchema, turnUri } from '@orama/protocol';
import {
  type BrowserDriver,
  CertificateAuthority,
  callTurnControl,
  launchChromium,
  launchFirefox,
} from '@orama/testkit';
import { TurnService } from '@orama/turn';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const SECRET = 'a-secret-shared-with-browsers';
const PUBLIC_IP = '127.93.51.1';
const RELAY_IP = '127.93.50.1';
const NAME = 'turn.ns-interop.orama.test';
/** No certificate is handed over for it: the server answers with one of its own. */
const UNTRUSTED_NAME = 'turn.ns-other.orama.test';
const PAGE = { address: '127.0.0.1', port: 34_893 };

let dir: string;
let turn: TurnService;
let page: Server;
let authority: CertificateAuthority;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'turn-browsers-'));
  const config = turnConfigSchema.parse({
    node: 'node-1',
    listen: [PUBLIC_IP],
    realm: 'orama.test',
    controlSocket: join(dir, 'turn.sock'),
    internal: { address: RELAY_IP },
  });
  turn = new TurnService(config, silentLogger);
  await turn.start();
  const tenant = turnTenantSchema.parse({
    namespace: 'interop',
    secrets: [SECRET],
    relay: { address: RELAY_IP, portStart: 50_000, portEnd: 50_799 },
    peers: [],
    // Both ends are in the relay: its own block is a peer then.
    allowPublicPeers: true,
    generation: 1,
  });
  await callTurnControl(config.controlSocket, 'PUT', '/tenants/interop', tenant);
  authority = new CertificateAuthority();
  await callTurnControl(config.controlSocket, 'PUT', `/certificates/${NAME}`, authority.issue(NAME));
  page = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>two ends</title>');
  });
  await listen(page, PAGE);
});

afterAll(async () => {
  await closeServer(page);
  await turn.close();
  authority.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Result {
  echo: string;
  frames: number;
  /** `<type>/<relayProtocol>` of each end's own candidate in use, and the type of the other's. */
  pairs: { local: string; relayProtocol: string; remote: string }[];
  errors: string[];
}

/**
 * Two connections in one page that know of each other what a signalling channel would carry, each with one TURN server
 * and nothing but relayed candidates: a text goes there and back, and a picture that moves goes there.
 */
const TWO_ENDS = `async (server) => {
  const errors = [];
  const connect = () => new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: 'relay' });
  const [caller, answerer] = [connect(), connect()];
  for (const [one, other] of [[caller, answerer], [answerer, caller]]) {
    one.onicecandidate = ({ candidate }) => candidate && other.addIceCandidate(candidate).catch((error) => errors.push(String(error)));
    one.onicecandidateerror = ({ errorCode, errorText, url }) => errors.push([errorCode, errorText, url].join(' '));
  }
  const canvas = document.body.appendChild(document.createElement('canvas'));
  const context = canvas.getContext('2d');
  let drawn = 0;
  const drawing = setInterval(() => {
    context.fillStyle = 'hsl(' + (drawn++ * 7) % 360 + ' 80% 50%)';
    context.fillRect(0, 0, canvas.width, canvas.height);
  }, 50);
  for (const track of canvas.captureStream(20).getTracks()) caller.addTrack(track);
  let frames = 0;
  const shown = new Promise((resolve, reject) => {
    answerer.ontrack = ({ track }) => {
      const video = document.body.appendChild(document.createElement('video'));
      video.muted = true;
      video.srcObject = new MediaStream([track]);
      const onFrame = () => (++frames === 10 ? resolve() : video.requestVideoFrameCallback(onFrame));
      video.requestVideoFrameCallback(onFrame);
      video.play();
    };
    setTimeout(() => reject(new Error(frames + ' frames within 60 s: ' + JSON.stringify(errors))), 60_000);
  });
  answerer.ondatachannel = ({ channel }) => { channel.onmessage = ({ data }) => channel.send('heard ' + data); };
  const channel = caller.createDataChannel('text');
  const echo = new Promise((resolve, reject) => {
    channel.onopen = () => channel.send('hello');
    channel.onmessage = ({ data }) => resolve(data);
    setTimeout(() => reject(new Error('no answer within 30 s: ' + JSON.stringify(errors))), 30_000);
  });
  await caller.setLocalDescription();
  await answerer.setRemoteDescription(caller.localDescription);
  await answerer.setLocalDescription();
  await caller.setRemoteDescription(answerer.localDescription);
  const heard = await echo;
  await shown;
  const pairOf = async (connection) => {
    const all = [...(await connection.getStats()).values()];
    const byId = new Map(all.map((each) => [each.id, each]));
    const transport = all.find((each) => each.type === 'transport');
    const pair = byId.get(transport?.selectedCandidatePairId) ?? all.find((each) => each.type === 'candidate-pair' && each.selected);
    const local = byId.get(pair.localCandidateId);
    return { local: local.candidateType, relayProtocol: local.relayProtocol, remote: byId.get(pair.remoteCandidateId).candidateType };
  };
  const result = { echo: heard, frames, pairs: [await pairOf(caller), await pairOf(answerer)], errors };
  clearInterval(drawing);
  caller.close();
  answerer.close();
  return result;
}`;

/** The relayed candidates that a server gives, once the browser has stopped looking. */
const GATHER = `async (server) => {
  const connection = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: 'relay' });
  const candidates = [];
  connection.onicecandidate = ({ candidate }) => candidate?.candidate && candidates.push(candidate.candidate);
  connection.createDataChannel('text');
  const complete = new Promise((resolve) => {
    connection.onicegatheringstatechange = () => connection.iceGatheringState === 'complete' && resolve();
  });
  await connection.setLocalDescription();
  await complete;
  connection.close();
  return candidates;
}`;

function serverOf(url: string) {
  const { username, password } = issueTurnCredentials({
    secret: SECRET,
    namespace: 'interop',
    ttlSec: 600,
    uris: [],
    nowMs: Date.now(),
  });
  return { urls: [url], username, credential: password };
}

describe.each([
  ['Chromium', launchChromium],
  ['Firefox', launchFirefox],
] as const)('%s', (_name, launch) => {
  let browser: BrowserDriver;
  beforeAll(async () => {
    browser = await launch({
      authority: authority.certificate,
      hosts: { [NAME]: PUBLIC_IP, [UNTRUSTED_NAME]: PUBLIC_IP },
    });
  });
  afterAll(() => browser.close());

  /** Calls a function of the page's with one TURN server. */
  async function inPage<T>(script: string, uri: string): Promise<T> {
    const tab = await browser.newPage();
    try {
      await tab.goto(`http://${PAGE.address}:${PAGE.port}/`);
      return await tab.evaluate<T>(`(${script})(${JSON.stringify(serverOf(uri))})`);
    } finally {
      await tab.close();
    }
  }

  test.each(['udp', 'tcp', 'tls'] as const)('relays data and a picture over %s alone', async (transport) => {
    // The name is for the certificate. Chromium's resolver for UDP does not know the names it is launched with.
    const uri = transport === 'tls' ? turnUri(NAME, 5349, 'tls') : turnUri(PUBLIC_IP, 3478, transport);
    const { echo, frames, pairs, errors } = await inPage<Result>(TWO_ENDS, uri);
    expect(echo, errors.join('\n')).toBe('heard hello');
    expect(frames).toBeGreaterThanOrEqual(10);
    const end = { local: 'relay', relayProtocol: transport, remote: 'relay' };
    expect(pairs).toEqual([end, end]);
  });

  test('gets no relay over TLS from a server whose certificate it does not trust, and does not wait for one', async () => {
    expect(await inPage<string[]>(GATHER, turnUri(NAME, 5349, 'tls'))).not.toEqual([]);
    expect(await inPage<string[]>(GATHER, turnUri(UNTRUSTED_NAME, 5349, 'tls'))).toEqual([]);
  });
});
