/** Where a node keeps what is ours; the units of systemd/ name the same. */
export const PATHS = {
  etc: '/etc/orama',
  config: '/etc/orama/controlplane.yaml',
  clusterKey: '/etc/orama/cluster.key',
  storeCredentials: '/etc/orama/store.credentials',
  rqlitedAuth: '/etc/orama/rqlited.auth.json',
  rqlitedOptions: '/etc/orama/rqlited.env',
  /** Which secrets a join brought. */
  brought: '/etc/orama/brought',
  data: '/var/lib/orama',
  run: '/run/orama',
  storeFile: '/var/lib/orama/store/store.sqlite',
  /** In a folder that a DNS server may read; the unit of the controlplane has systemd make it. */
  zoneFile: '/var/lib/orama-dns/zone',
  /** Held while a command makes the machine a node, or none. */
  lock: '/run/orama-node.lock',
  rqlited: '/opt/orama/bin/rqlited',
  lockFiles: '/etc/tmpfiles.d/orama.conf',
  networkRights: '/etc/systemd/system/orama-controlplane.service.d/20-network.conf',
  startOrders: ['controlplane', 'rqlited'].map(
    (name) => `/etc/systemd/system/orama-${name}.service.d/10-wireguard.conf`,
  ),
  /** There from the moment that the cluster is asked to let a machine go until the machine is cleared, or stays. */
  left: '/etc/orama/left',
} as const;

/** The user that the services run as. */
export const USER = 'orama';
/** The controlplane's API on the node itself. */
export const API_PORT = 6001;
/** The WireGuard interface that is made unless another one is named, and its network. */
export const DEFAULT_INTERFACE = 'orama0';
export const DEFAULT_NETWORK = '10.86.0.0/24';
