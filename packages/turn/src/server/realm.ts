import { opaqueString } from '../stun/index.ts';

/**
 * With a longer realm the 401 to the smallest Allocate (28 bytes: header and REQUESTED-TRANSPORT) would be more than
 * three times as large: 20 header + 8 error code + 4 + realm + 24 nonce <= 84.
 */
const REALM_MAX_BYTES = 28;

/**
 * The realm that goes over the wire: the base domain, or its longest tail of whole labels that is short enough.
 * Clients use whatever realm they are told, so nothing else depends on it.
 * @throws RangeError when it holds a character that no realm may hold
 */
export function fitRealm(baseDomain: string): string {
  let realm = opaqueString(baseDomain, 'realm');
  while (Buffer.byteLength(realm) > REALM_MAX_BYTES && realm.includes('.')) realm = realm.slice(realm.indexOf('.') + 1);
  return Buffer.from(realm).subarray(0, REALM_MAX_BYTES).toString();
}
