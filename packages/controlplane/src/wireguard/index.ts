// What `orama node init|join|leave` work with.
export { type ConfFile, confFileOf, ownInterfaces, readConfFile, writeConfFile } from './conf-file.ts';
export { readInterface, wireguardInterfaces } from './interface.ts';
export { createPrivateWireguardKey, publicWireguardKey } from './keys.ts';
