/** Kinds of action that are applied while a namespace is enabled and disabled. */
const ENABLE_KINDS = [
  'core-start',
  'core-stop',
  'turn-attach',
  'turn-detach',
  'sfu-start',
  'sfu-stop',
  'sfu-clean',
  'dns-records',
  'dns-write',
  'state-file-write',
  'state-file-remove',
] as const;
/** Every kind of action that a reconcile task can apply. */
export const ACTION_KINDS = [
  ...ENABLE_KINDS,
  'turn-clean',
  'sfu-turn',
  'move',
  'node-drain',
  'node-resume',
  'caddy-names',
  'certificate-serve',
  'certificate-forget',
  'wireguard-up',
  'wireguard-peers',
  'firewall-open',
  'firewall-close',
  'store-member-remove',
] as const;
export type ActionKind = (typeof ACTION_KINDS)[number];

/** Every crash point of the controlplane, in the order an enable and a disable pass them; for tests that walk the steps. */
export const CONTROLPLANE_FAILPOINTS = [
  'enable:before-commit',
  'enable:after-commit',
  'disable:before-commit',
  'disable:after-commit',
  'service:spawned',
  ...ENABLE_KINDS.flatMap((kind) => [`apply:${kind}:before`, `apply:${kind}:after`]),
  'enable:finish:before',
  'enable:finish:after',
  'disable:finish:before',
  'disable:finish:after',
] as const;
