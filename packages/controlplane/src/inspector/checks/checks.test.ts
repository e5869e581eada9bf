import { expect, test } from 'vitest';
import {
  DAY_MS,
  NODES,
  NOW_MS,
  node,
  publicIp,
  tls,
  type Well,
  wellFacts,
  wireguardIp,
} from '../../../testing/well-facts.ts';
import type { PeerAttempt } from '../check.ts';
import { inspect } from '../inspect.ts';
import { CHECKS } from './index.ts';

/** The zone is of another server, and the operators' name there of somebody else, or without addresses. */
function leftToOthers(facts: Well, addresses: string[]): void {
  for (const { dns } of facts.nodes.values()) dns.writer = 'powerdns';
  for (const { names } of facts.dns) names.set('api.example.com', addresses);
}

type Break = [what: string, id: string, severity: string, seen: RegExp, mend: RegExp, damage: (facts: Well) => void];

const BREAKS: Break[] = [
  [
    'a gateway that is down where others serve',
    'services',
    'warning',
    /^gateway does not serve: it does not answer/,
    /on node-2: journalctl -u orama-gateway/,
    (facts) => Object.assign(node(facts, 2).gateway, { healthy: false, reason: 'it does not answer' }),
  ],
  [
    'gateways that are all down',
    'services',
    'critical',
    /^gateway does not serve/,
    /on node-1: journalctl -u orama-gateway/,
    (facts) => {
      for (const each of facts.nodes.values()) each.gateway = { healthy: false, reason: 'down', version: null };
    },
  ],
  [
    'a TURN server that crashed',
    'services',
    'warning',
    /^turn does not serve: no TURN server runs/,
    /on node-3: journalctl -u orama-turn/,
    (facts) => Object.assign(node(facts, 3).turn, { running: false, reason: 'no TURN server runs' }),
  ],
  [
    'TURN servers that operators keep down, all of them',
    'services',
    'warning',
    /^turn does not serve: an operator keeps it down/,
    /^orama turn resume --node node-1$/,
    (facts) => {
      for (const each of facts.nodes.values()) Object.assign(each.turn, { running: false, held: true });
    },
  ],
  [
    'a nameserver that gives no answer',
    'services',
    'warning',
    /^dns does not serve: ETIMEOUT/,
    /ss -tulpn/,
    (facts) => (node(facts, 1).dns.reason = 'ETIMEOUT'),
  ],
  [
    'an rqlited that is down',
    'services',
    'warning',
    /^store does not serve: no leader/,
    /orama store check/,
    (facts) => (node(facts, 1).store.reason = 'no leader'),
  ],
  [
    'a rule of the firewall that cannot be set',
    'reconcile',
    'warning',
    /^the task firewall still has to do: firewall-open 3478\/udp \(a namespace has TURN\)/,
    /on node-2: journalctl -u orama-controlplane/,
    (facts) =>
      facts.plans[1]?.tasks[0]?.actions.push({
        ...{ kind: 'firewall-open', subject: '3478/udp', reason: 'a namespace has TURN' },
      }),
  ],
  [
    'a task that cannot tell what to do',
    'reconcile',
    'warning',
    /^the task certificates cannot tell what to do: Caddy refused/,
    /journalctl/,
    (facts) => facts.plans[0]?.tasks.push({ task: 'certificates', actions: [], error: 'Caddy refused' }),
  ],
  [
    'a namespace that is being enabled',
    'reconcile',
    'warning',
    /^is enabling, and not looked at/,
    /^orama operations list/,
    (facts) => facts.cluster.namespaces.push({ name: 'new', webrtc: 'enabling', sfuNodeCount: 3, turnNodeCount: 2 }),
  ],
  [
    'a TURN server that runs on from before an upgrade',
    'version-skew',
    'warning',
    /^version 1\.0\.0, and orama-turn still runs 0\.9\.0/,
    /systemctl restart orama-turn;/,
    (facts) => (node(facts, 1).turn.version = '0.9.0'),
  ],
  [
    'an SFU that does not answer',
    'sfu-coverage',
    'warning',
    /^2 of 3 SFUs answer \(node-2: it hangs\)/,
    /orama-namespace-sfu@myapp/,
    (facts) => (node(facts, 2).sfus = [{ namespace: 'myapp', healthy: false, reason: 'it hangs', version: null }]),
  ],
  [
    'SFUs that are all down',
    'sfu-coverage',
    'critical',
    /^0 of 3/,
    /webrtc-status --namespace myapp/,
    (facts) => {
      for (const each of facts.nodes.values())
        each.sfus = [{ namespace: 'myapp', healthy: false, reason: 'down', version: null }];
    },
  ],
  [
    'an SFU without a node',
    'sfu-coverage',
    'warning',
    /^2 of 3 .*1 have no node/,
    /webrtc-status/,
    (facts) => facts.cluster.blocks.splice(2, 1),
  ],
  [
    'a TURN server that an operator keeps down',
    'turn-redundancy',
    'warning',
    /^1 of 2 .*node-2: an operator keeps it down/,
    /^orama turn resume --node node-2$/,
    (facts) => Object.assign(node(facts, 2).turn, { running: false, held: true }),
  ],
  [
    'TURN servers that have not the tenant',
    'turn-redundancy',
    'critical',
    /^0 of 2 .*not attached/,
    /journalctl -u orama-turn/,
    (facts) => {
      for (const each of facts.nodes.values()) each.turn.tenants = [];
    },
  ],
  [
    'a socket of an SFU on all addresses',
    'sfu-wireguard-only',
    'critical',
    /udp 0\.0\.0\.0:20001/,
    /systemctl stop orama-namespace-sfu@myapp/,
    (facts) => node(facts, 1).sockets.push({ protocol: 'udp', address: '0.0.0.0', port: 20001, unit: null }),
  ],
  [
    'a socket of an SFU outside of its ports',
    'sfu-wireguard-only',
    'critical',
    /tcp 203\.0\.113\.1:8080 \(orama-namespace-sfu@myapp\)/,
    /systemctl stop/,
    (facts) => {
      const unit = 'orama-namespace-sfu@myapp';
      node(facts, 1).sockets.push({ protocol: 'tcp', address: publicIp('node-1'), port: 8080, unit });
    },
  ],
  [
    'a socket of our user on a port of nobody, on all addresses',
    'sfu-wireguard-only',
    'critical',
    /^bound beside WireGuard: udp 0\.0\.0\.0:40123$/,
    /ss -tulpn/,
    (facts) => node(facts, 1).sockets.push({ protocol: 'udp', address: '0.0.0.0', port: 40123, unit: null }),
  ],
  [
    'a socket of our user on a port of nobody, on the public address',
    'sfu-wireguard-only',
    'critical',
    /tcp 203\.0\.113\.2:9000/,
    /ss -tulpn/,
    (facts) => node(facts, 2).sockets.push({ protocol: 'tcp', address: publicIp('node-2'), port: 9000, unit: null }),
  ],
  [
    'TURN that gives no allocation',
    'turn-reachable',
    'critical',
    /^tls 203\.0\.113\.1:5349: refused/,
    /^open the port$/,
    (facts) => (tls(facts).failure = { message: 'refused', hint: 'open the port' }),
  ],
  [
    'TURN that relays to a private address',
    'relay-policy',
    'critical',
    /^relays to 10\.255\.255\.254/,
    /explain-peer myapp 10\.255\.255\.254/,
    (facts) => ((facts.peers[0] as PeerAttempt).code = null),
  ],
  [
    'a policy that could not be tried',
    'relay-policy',
    'critical',
    /^could not be tried: no answer/,
    /turn check/,
    (facts) => Object.assign(facts.peers[0] as PeerAttempt, { code: null, failure: 'no answer' }),
  ],
  [
    'a record that leads to a dead server',
    'dns',
    'critical',
    /203\.0\.113\.2:53: turn\.ns-myapp\.example\.com: leads to 203\.0\.113\.2, where nothing serves it/,
    /orama leases/,
    (facts) => Object.assign(node(facts, 2).turn, { running: false }),
  ],
  [
    'a record that is missing',
    'dns',
    'warning',
    /203\.0\.113\.1:53: turn\.ns-myapp\.example\.com: does not lead to 203\.0\.113\.2/,
    /orama leases/,
    (facts) => facts.dns[0]?.names.set('turn.ns-myapp.example.com', [publicIp('node-1')]),
  ],
  [
    'a name that a nameserver does not have',
    'dns',
    'critical',
    /there is no such name/,
    /orama leases/,
    (facts) => facts.dns[2]?.names.set('ns-myapp.example.com', []),
  ],
  [
    "the operators' name that leads to nobody",
    'dns',
    'critical',
    /203\.0\.113\.1:53: api\.example\.com: there is no such name/,
    /orama leases/,
    (facts) => facts.dns[0]?.names.delete('api.example.com'),
  ],
  [
    "the operators' name that is somebody else's in a zone of another server",
    'dns',
    'warning',
    /203\.0\.113\.1:53: api\.example\.com leads to 198\.51\.100\.4, /,
    /^take away what the zone has by this name/,
    (facts) => leftToOthers(facts, ['198.51.100.4']),
  ],
  [
    "the operators' name that has records of other types in a zone of another server",
    'dns',
    'warning',
    /203\.0\.113\.1:53: api\.example\.com has no address/,
    /^take away what the zone has by this name/,
    (facts) => leftToOthers(facts, []),
  ],
  [
    "the certificate of the operators' name that leads elsewhere",
    'certificate',
    'warning',
    /^api\.example\.com at 203\.0\.113\.1:443: .* \(the name leads elsewhere\)/,
    /^orama inspector --only dns$/,
    (facts) => {
      leftToOthers(facts, ['198.51.100.4']);
      const server = 'api.example.com at 203.0.113.1:443';
      const failure = { message: 'no certificate' };
      facts.gateways.push({ namespace: null, node: 'node-1', server, failure, certificate: null });
    },
  ],
  [
    'a nameserver that does not answer',
    'dns',
    'critical',
    /203\.0\.113\.3:53: no answer/,
    /orama leases/,
    (facts) => Object.assign(facts.dns[2] ?? {}, { failure: 'no answer', names: new Map() }),
  ],
  [
    'a certificate that has ended',
    'certificate',
    'critical',
    /ended at 2026-11-21/,
    /orama turn status/,
    (facts) => Object.assign(tls(facts).certificate ?? {}, { validTo: new Date(NOW_MS - DAY_MS).toISOString() }),
  ],
  [
    'a certificate that ends in two days',
    'certificate',
    'critical',
    /2 days left/,
    /orama turn status/,
    (facts) => Object.assign(tls(facts).certificate ?? {}, { validTo: new Date(NOW_MS + 2.5 * DAY_MS).toISOString() }),
  ],
  [
    'a certificate that was not renewed',
    'certificate',
    'warning',
    /10 days left/,
    /orama turn status/,
    (facts) => Object.assign(tls(facts).certificate ?? {}, { validTo: new Date(NOW_MS + 10.5 * DAY_MS).toISOString() }),
  ],
  [
    'a certificate for another name',
    'certificate',
    'critical',
    /browsers refuse it: it was made for other names/,
    /orama turn status/,
    (facts) => Object.assign(tls(facts).certificate ?? {}, { distrust: 'it was made for other names' }),
  ],
  [
    'a gateway whose certificate is for another name',
    'certificate',
    'critical',
    /203\.0\.113\.3:443: browsers refuse it: it was made for other names/,
    /journalctl -u caddy/,
    (facts) => Object.assign(facts.gateways[2]?.certificate ?? {}, { distrust: 'it was made for other names' }),
  ],
  [
    'a gateway that nothing answers for on port 443',
    'certificate',
    'critical',
    /203\.0\.113\.1:443: no certificate was seen: ECONNREFUSED/,
    /on node-1: ss -tlnp/,
    (facts) => Object.assign(facts.gateways[0] ?? {}, { failure: { message: 'ECONNREFUSED' }, certificate: null }),
  ],
  [
    'a clock that is 40 s behind',
    'clock-skew',
    'critical',
    /^40\.000 s behind/,
    /timedatectl/,
    (facts) => facts.clocks.set('node-2', { aheadMs: -39_997, uncertainMs: 20 }),
  ],
  [
    'a clock that is 5 s ahead',
    'clock-skew',
    'warning',
    /^5\.000 s ahead/,
    /on node-2: timedatectl/,
    (facts) => facts.clocks.set('node-2', { aheadMs: 5_003, uncertainMs: 20 }),
  ],
  [
    'a clock of this machine that is wrong',
    'clock-skew',
    'warning',
    /^this machine's clock is 10\.000 s behind/,
    /timedatectl/,
    (facts) => {
      for (const id of NODES) facts.clocks.set(id, { aheadMs: 10_000, uncertainMs: 1 });
    },
  ],
  [
    'a unit without a namespace',
    'orphans',
    'warning',
    /^the unit orama-namespace-sfu@ghost/,
    /on node-1: systemctl stop orama-namespace-sfu@ghost/,
    (facts) => node(facts, 1).units.push('orama-namespace-sfu@ghost'),
  ],
  [
    'a unit that keeps a namespace attached that is placed elsewhere',
    'orphans',
    'warning',
    /^the unit orama-namespace-turn@myapp/,
    /on node-3: systemctl stop orama-namespace-turn@myapp/,
    (facts) => node(facts, 3).units.push('orama-namespace-turn@myapp'),
  ],
  [
    'files without a namespace',
    'orphans',
    'warning',
    /configs\/orama-namespace-sfu@ghost /,
    /rm -r \/var\/lib\/orama\/configs/,
    (facts) => node(facts, 1).unitFolders.push('orama-namespace-sfu@ghost'),
  ],
  [
    'a folder without a namespace',
    'orphans',
    'warning',
    /namespaces\/ghost/,
    /rm -r/,
    (facts) => node(facts, 1).namespaceFolders.push('ghost'),
  ],
  [
    'a TURN tenant that is placed elsewhere',
    'orphans',
    'warning',
    /^the TURN tenant myapp/,
    /on node-3: curl/,
    (facts) => node(facts, 3).turn.tenants.push('myapp'),
  ],
  [
    'a stored record of a namespace without WebRTC',
    'orphans',
    'warning',
    /turn\.ns-ghost\.example\.com/,
    /orama leases/,
    (facts) =>
      facts.cluster.records.push({ fqdn: 'turn.ns-ghost.example.com', value: '203.0.113.1', namespace: 'ghost' }),
  ],
  [
    'a served record of a namespace without WebRTC',
    'orphans',
    'warning',
    /ns-ghost\.example\.com at 203\.0\.113\.1:53/,
    /orama leases/,
    (facts) => facts.dns[0]?.names.set('ns-ghost.example.com', ['203.0.113.1']),
  ],
  [
    'an SFU that does not listen where it should',
    'port-rows',
    'critical',
    /^nothing of ours listens on tcp 10\.0\.0\.3:30000, which the store gives to its sfu/,
    /ss -tulpn/,
    (facts) => node(facts, 3).sockets.splice(1, 1),
  ],
  [
    'a relay socket outside of every block',
    'port-rows',
    'warning',
    /^udp 10\.0\.0\.1:60000 is in no port block/,
    /reconcile --dry-run --node node-1/,
    (facts) =>
      node(facts, 1).sockets.push({ protocol: 'udp', address: wireguardIp('node-1'), port: 60000, unit: null }),
  ],
  [
    'a secret that others may read',
    'secret-files',
    'critical',
    /^\/etc\/orama\/cluster\.key has mode 0640/,
    /on node-2: chmod go= \/etc\/orama\/cluster\.key/,
    (facts) => (node(facts, 2).secretFiles = [{ path: '/etc/orama/cluster.key', mode: 0o640, isForeign: false }]),
  ],
  [
    'a secret that belongs to somebody',
    'secret-files',
    'critical',
    /^\/etc\/orama\/cluster\.key belongs to somebody else/,
    /chown root \/etc\/orama\/cluster\.key/,
    (facts) => (node(facts, 2).secretFiles = [{ path: '/etc/orama/cluster.key', mode: 0o600, isForeign: true }]),
  ],
  [
    'a node of another version',
    'version-skew',
    'warning',
    /^version 0\.9\.0, and most run 1\.0\.0/,
    /orama node drain node-2/,
    (facts) => (node(facts, 2).version = '0.9.0'),
  ],
];

test.each(BREAKS)('%s is told by the check %s as %s', (_what, id, severity, seen, mend, damage) => {
  const facts = wellFacts();
  damage(facts);
  const result = inspect(CHECKS, facts, []).find((one) => one.id === id);
  expect(result?.severity).toBe(severity);
  const [finding] = result?.findings.filter((one) => seen.test(one.seen)) ?? [];
  expect(finding, JSON.stringify(result?.findings, null, 1)).toBeDefined();
  expect(finding?.mend).toMatch(mend);
});

test('every check is broken by one of these', () => {
  expect(CHECKS.map(({ id }) => id).filter((id) => !BREAKS.some((one) => one[1] === id))).toEqual([]);
});
