import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AcmeAuthority, type BrowserDriver, CallPage, launchChromium, REPOSITORY, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, inject, onTestFailed, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { image } from './bed/image.ts';
import { publicIpOf } from './bed/network.ts';
import type { SystemdNode } from './bed/node.ts';
import { OramaNode, withAuthority } from './bed/orama.ts';
import { Transcript } from './bed/transcript.ts';

/** Types what docs/first-cluster.md has; `UPDATE_TRANSCRIPT=1` writes there what was printed, unless n3 was lost. */
const transcript = new Transcript(join(REPOSITORY, 'docs/first-cluster.md'));
const BASE = 'orama.test';
const HOST = `ns-myapp.${BASE}`;
const TURN_NAME = `turn.${HOST}`;
const OPERATOR_HOST = `api.${BASE}`;
const CLIENT_IP = publicIpOf(100);

/**
 * After that DNS leads to others. By the design it is 13 s, and what another TURN server takes to take the namespace over and be
 * named: 4 s in which the store may elect another leader, 8 s until the node counts as unreachable (decision 048), and one more
 * round of heartbeats where the election interrupted the watch. The rest is for a machine with a few processors, on which
 * three nodes, two browsers and another file of tests run.
 */
const FAILOVER_MS = 30_000;
/** Caddy comes again a minute after an attempt that failed. */
const CADDY_RETRY_MS = 90_000;

const OFFICE = join(REPOSITORY, 'test/nodes/office.nft');

/** Of the client: anna's own machine. */
const HOME = mkdtempSync(join(tmpdir(), 'orama-home-'));
/** What the release has as bin/orama; of this checkout, and with the authorities that the client's system trusts. */
const LAUNCHER = `#!/bin/sh
NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt exec ${process.execPath} ${REPOSITORY}/cmd/orama/dist/main.js "$@"
`;

let bed: Bed;
let authority: AcmeAuthority;
let chromium: BrowserDriver | undefined;
let pages: CallPage[] = [];
/** Of each node, before anything was installed. */
let bare: string[] = [];
/** Number of the node that was switched off, and whether it still is. */
let lost = 0;
let isOff = false;
/** Number of a node that stays: n3, unless that is the one that relays. */
const stays = () => (isOff && lost === 3 ? 1 : 3);

beforeAll(async () => {
  const release = inject('release');
  bed = await Bed.start({ bare: true, installed: false });
  for (const { root } of bed.nodes)
    for (const file of readdirSync(release))
      if (!file.endsWith('.deb')) cpSync(join(release, file), join(root, 'root', file));
  bare = await Promise.all(bed.nodes.map(imageOf));
  authority = await AcmeAuthority.start({
    // n3 relays for nobody at first, so that another one loses its power.
    ...{ address: CLIENT_IP, namesLeadTo: publicIpOf(1), dnsServer: `${publicIpOf(3)}:53` },
    within: bed.asClient,
  });
});
afterAll(async () => {
  await chromium?.close();
  await authority?.close();
  await bed?.close();
  rmSync(HOME, { recursive: true, force: true });
  if (process.env.UPDATE_TRANSCRIPT && lost !== 3) transcript.write();
});

/** A command that hangs is told with what it printed, before the test has to end. */
const SHELL = ['timeout', '90', 'sh', '-c'];

/** Both outputs in the order in which a terminal shows them. */
async function type(at: string, command: string) {
  if (at === 'client$') {
    const path = `cd ${HOME}; export HOME=${HOME} PATH=${HOME}:$PATH`;
    const result = await bed.fromClient(
      ...SHELL,
      `exec 2>&1; ${path}; ${command.replace(publicIpOf(3), publicIpOf(stays()))}`,
    );
    return { ...result, stdout: result.stdout.replaceAll(HOME, '/home/anna') };
  }
  const node = bed.nodes.find((each) => at.replace('n3', `n${stays()}`) === `n${each.number}#`);
  if (!node) throw new Error(`there is no ${at}`);
  return node.run(...SHELL, `cd /root; exec 2>&1; ${command}`);
}

/** The authority's certificate, which the client trusts as it would a public one. */
async function authorityCertificate(): Promise<string> {
  const { stdout } = await bed.fromClient('curl', '-sk', `https://${CLIENT_IP}:15000/roots/0`);
  expect(stdout).toContain('BEGIN CERTIFICATE');
  return stdout;
}

const sees: Record<string, () => Promise<void>> = {
  async 'n2 has its token'() {
    handOver(2);
  },

  async 'n3 has its token'() {
    handOver(3);
  },

  async "Debian's Caddy runs"() {
    for (const { number } of bed.nodes) await new OramaNode(bed, number).startDebianCaddy(authority);
  },

  async 'the authority is that of the test'() {
    for (const { number } of bed.nodes) new OramaNode(bed, number).changeCaddyfile(withAuthority(authority));
  },

  async 'certificates of the authority'() {
    await untilTrusted(HOST, 443);
    await untilTrusted(TURN_NAME, 5349);
  },

  async 'anna has her token'() {
    bed.clientTrusts(await authorityCertificate());
    await untilTrusted(OPERATOR_HOST, 443);
    renameSync(join(bed.node(1).root, 'root/token-of-anna'), join(HOME, 'token-of-anna'));
    writeFileSync(join(HOME, 'orama'), LAUNCHER, { mode: 0o755 });
  },

  async 'the units say what they carry'() {
    for (const [unit, said] of [
      ['orama-namespace-sfu@myapp', /^ok: 1 rooms?, 2 peers/],
      ['orama-namespace-turn@myapp', /^attached: [1-9]\d* allocations?/],
    ] as const)
      await waitUntil(
        `what a ${unit} carries`,
        () => Promise.all(bed.nodes.map((node) => node.show(unit, 'StatusText'))),
        (all) => all.some(({ StatusText = '' }) => said.test(StatusText)),
      );
    for (const said of ['allocation opened', 'allocation ended'])
      await waitUntil(
        `the journal to have "${said}" of the namespace`,
        () => bed.node(1).do('journalctl', '--no-pager', '--output', 'cat', '-u', 'orama-namespace-turn@myapp'),
        (journal) => journal.includes(`"msg":"${said}"`),
      );
  },

  async 'a call by turns'() {
    await Promise.all(pages.map((page) => page.close()));
    if (!chromium) {
      // An office that lets nothing out but TLS.
      await bed.fromClient('nft', '-f', OFFICE);
      chromium = await launchChromium({ authority: await authorityCertificate(), within: bed.asClient });
    }
    const key = transcript.value('<key>');
    const callUrl = ({ room, name }: { room: string; name: string }) =>
      `https://${HOST}/call/#${new URLSearchParams({ room, name, api_key: key })}`;
    const driver = chromium;
    pages = await Promise.all(
      ['ann', 'bob'].map((name) => CallPage.join(driver, { callUrl }, { room: 'first', name })),
    );
    for (const { stats } of await Promise.all(pages.map((page) => page.waitMedia(1))))
      expect(stats.local).toMatchObject({ type: 'relay', relayProtocol: 'tls' });
  },

  async 'the machine that relays is switched off, and the call goes on by another'() {
    const [page] = pages as [CallPage];
    const relay = async () => (await page.stats()).local?.address ?? '';
    const before = await relay();
    // Relayed to SFUs from a node's address in WireGuard's network.
    lost = Number(/^10\.86\.0\.([123])$/.exec(before)?.[1]);
    expect(lost, `a relay at ${before}`).toBeGreaterThan(0);
    await bed.losePower(lost);
    const lostAtMs = performance.now();
    isOff = true;
    const others = bed.nodes.flatMap(({ number, publicIp }) => (number === lost ? [] : [publicIp]));
    // What still comes in by what is buried does not count.
    await waitUntil(
      `others to be in the place of n${lost}`,
      () => Promise.all([TURN_NAME, HOST, OPERATOR_HOST].map(answered)),
      (answers) => answers.every((each) => each.join() === others.join()),
      { timeoutMs: FAILOVER_MS },
    );
    console.log(`DNS leads to others ${Math.round(performance.now() - lostAtMs)} ms after the loss of n${lost}`);
    await waitUntil('the browser to have another relay', relay, (now) => now !== '' && now !== before);
    await Promise.all(pages.map((each) => each.waitMedia(1)));
  },

  async 'it is switched on, and all is healthy'() {
    await bed.powerOn(lost);
    isOff = false;
    await untilHealthy();
    // Of who took over: browsers that are let out to TLS alone have no other way there.
    await untilTrusted(TURN_NAME, 5349);
  },

  async 'all are switched off and on, and all is healthy'() {
    await Promise.all(bed.nodes.map(({ number }) => bed.losePower(number)));
    await Promise.all(bed.nodes.map(({ number }) => bed.powerOn(number)));
    await untilHealthy();
  },

  async 'nothing of us is left'() {
    for (const [index, node] of bed.nodes.entries()) {
      expect(await imageOf(node)).toBe(bare[index]);
      expect(await new OramaNode(bed, node.number).caddyConfig('')).not.toMatch(/orama-certificates|api\.orama\.test/);
    }
  },
};

/** Takes the token for a node from the machine where it was made. */
function handOver(number: number): void {
  const file = `root/token-of-n${number}`;
  renameSync(join(bed.node(1).root, file), join(bed.node(number).root, file));
}

/** The addresses that a name leads to, in order, by the server of a node that stays. */
async function answered(name: string): Promise<string[]> {
  const { stdout } = await bed.fromClient('dig', '+short', `@${publicIpOf(stays())}`, name);
  return stdout.split('\n').filter(Boolean).sort();
}

/** Every node that a name leads to, of which there are some, shows a certificate of the authority. */
async function untilTrusted(name: string, port: number): Promise<void> {
  const addresses = await waitUntil(
    `${name} to lead to nodes`,
    () => answered(name),
    ({ length }) => length > 0,
  );
  for (const address of addresses) {
    const check = `openssl s_client -connect ${address}:${port} -servername ${name} -verify_return_error -verify_hostname ${name}`;
    await waitUntil(
      `a certificate of ${name} at ${address} that is trusted`,
      () => bed.fromClient('sh', '-c', `${check} </dev/null`),
      ({ code }) => code === 0,
      { timeoutMs: CADDY_RETRY_MS },
    );
  }
}

/** What an installation may change, without what was typed here beside it: Caddy, and tokens in files. */
async function imageOf(node: SystemdNode): Promise<string> {
  const typed = /^(etc\/caddy|var\/lib\/caddy|root\/token-of-|etc\/systemd\/system\/multi-user\.target\.wants)/;
  const lines = (await image(node)).split('\n');
  return lines.filter((line) => !typed.test(line)).join('\n');
}

function untilHealthy() {
  return waitUntil(
    'all to be healthy',
    () => type('n1#', 'orama namespace webrtc-status --namespace myapp --json'),
    ({ code, stdout }) => code === 0 && (JSON.parse(stdout) as { healthy: boolean }).healthy,
  );
}

let isBroken = false;
test.each(transcript.sections)(
  '$title',
  async ({ steps }) => {
    onTestFailed(async () => {
      for (const { number } of bed.nodes)
        console.log(`Caddy of n${number}: ${await new OramaNode(bed, number).caddyErrors()}`);
    });
    // Each begins where the one before it ended.
    expect(isBroken).toBe(false);
    isBroken = true;
    for (const step of steps) {
      if (step.kind === 'command') await transcript.play(step, type);
      else await (sees[step.name] as () => Promise<void>)();
    }
    isBroken = false;
  },
  120_000,
);
