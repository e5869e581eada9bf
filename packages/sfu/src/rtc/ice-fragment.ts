import { PeerError } from '@orama/core';
import { parseCandidate, readIce } from './sdp.ts';
import type { IceCredential } from './stun-message.ts';

const MAX_LINES = 256;
const CREDENTIAL = /^[A-Za-z0-9+/]{4,256}$/;

/** What an ICE fragment says (`application/trickle-ice-sdpfrag`, RFC 8840 section 9). */
export interface IceFragment {
  /** Null when it names none: the candidates belong to the session that goes on. */
  credential: IceCredential | null;
  /** Lines as in `candidate:...`, without `a=`. */
  candidates: string[];
}

/** @throws PeerError when it is malformed */
export function readIceFragment(text: string): IceFragment {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  if (lines.length > MAX_LINES) throw invalid(`it has more than ${MAX_LINES} lines`);
  const read = (name: string) => lines.find((line) => line.startsWith(`a=${name}:`))?.slice(name.length + 3);
  const [ufrag, password] = [read('ice-ufrag'), read('ice-pwd')];
  if ((ufrag === undefined) !== (password === undefined)) throw invalid('it names one of ice-ufrag and ice-pwd only');
  const credential = ufrag === undefined || password === undefined ? null : { ufrag, password };
  if (credential && !(CREDENTIAL.test(credential.ufrag) && CREDENTIAL.test(credential.password)))
    throw invalid('its ice-ufrag or ice-pwd is malformed');
  const candidates = lines.filter((line) => line.startsWith('a=candidate:')).map((line) => line.slice(2));
  for (const candidate of candidates) if (!parseCandidate(candidate)) throw invalid('a candidate is malformed');
  return { credential, candidates };
}

/** The ICE part of a description as a fragment: credential and candidates of its first m-line, which all others share. */
export function writeIceFragment(sdp: string): string {
  const credential = readIce(sdp);
  const [media = ''] = /^m=.*$/m.exec(sdp) ?? [];
  const [mid = ''] = /^a=mid:.*$/m.exec(sdp) ?? [];
  const candidates = new Set(sdp.match(/^a=candidate:.*$/gm));
  const lines = [
    `a=ice-ufrag:${credential?.ufrag ?? ''}`,
    `a=ice-pwd:${credential?.password ?? ''}`,
    ...[media, mid, ...candidates].map((line) => line.trim()),
    'a=end-of-candidates',
  ];
  return `${lines.join('\r\n')}\r\n`;
}

/** The same offer with another ICE credential and without candidates. */
export function withCredential(offer: string, { ufrag, password }: IceCredential): string {
  const lines = offer.split(/\r?\n/).flatMap((line) => {
    if (line.startsWith('a=candidate:') || line === 'a=end-of-candidates') return [];
    if (line.startsWith('a=ice-ufrag:')) return [`a=ice-ufrag:${ufrag}`];
    return [line.startsWith('a=ice-pwd:') ? `a=ice-pwd:${password}` : line];
  });
  return lines.join('\r\n');
}

function invalid(why: string): PeerError {
  return new PeerError('INVALID_REQUEST', `the ICE fragment cannot be used: ${why}`);
}
