// Stands in for an SFU in tests: health and an empty list of rooms on its signalling port.
import {
  ConfigFile,
  configPathFromArgs,
  createInternalServer,
  listen,
  loadConfigFile,
  RequestVerifier,
  readSecretFile,
  SIGNATURE_HEADER,
  sfuControlKey,
} from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { sfuConfigSchema } from '@orama/protocol';

const path = configPathFromArgs(process.argv.slice(2), 'stand-in-sfu');
const config = await loadConfigFile(sfuConfigSchema, path);
const file = new ConfigFile(sfuConfigSchema, path);
let { generation } = config;
const verifier = new RequestVerifier(sfuControlKey(readSecretFile(config.secretFile)));
const server = createInternalServer(async ({ method, path, target, body, headers }) => {
  const { namespace, node } = config;
  generation = (await file.changed())?.generation ?? generation;
  if (path === '/healthz')
    return { status: 200, body: { status: 'ok', namespace, node, rooms: 0, peers: 0, generation } };
  if (path !== '/rooms') return undefined;
  const refusal = verifier.verify(headers[SIGNATURE_HEADER]?.toString(), method, target, body, Date.now());
  return refusal === null ? { status: 200, body: { rooms: [] } } : { status: 401, body: { refusal } };
}, silentLogger);
process.on('SIGTERM', () => process.exit(0));
await listen(server, { address: config.address, port: config.signalingPort });
