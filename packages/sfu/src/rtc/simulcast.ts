import type { SdpMedia } from 'sdp-transform';
import type { UplinkEncoding } from './sections.ts';

/** Layers of one track that are taken; the rest is not asked for. */
const MAX_LAYERS = 4;
/** And so many of a list are looked at. */
const MAX_LISTED = 16;
const RID = /^[A-Za-z0-9_-]{1,16}$/;
/** RFC 8851 section 5: a layer with a restriction that is not among these cannot be taken. */
const RESTRICTIONS = ['pt', 'max-width', 'max-height', 'max-fps', 'max-fs', 'max-br', 'max-pps', 'max-bpp'];

/** What an m-section sends, and what the answer says of its simulcast layers; no `rids` where it names none. */
export interface Simulcast {
  encodings: UplinkEncoding[];
  rids: NonNullable<SdpMedia['rids']>;
}

/**
 * Reads the RTP streams of an offered m-section: layers named by rids (RFC 8853), those of an ssrc-group (`SIM`), or one
 * stream.
 * @param payloadTypes those that are accepted
 */
export function readSimulcast(media: SdpMedia, payloadTypes: readonly number[]): Simulcast {
  const pairs = groupsOf(media, 'FID');
  const layers = ridsOf(media, payloadTypes);
  if (layers.length > 0) {
    // SSRCs are written in the order of the layers, where they are written at all.
    const known = pairs.length === layers.length ? pairs : [];
    const encodings = layers.map(({ id }, index) => ({
      rid: String(id),
      ssrc: known[index]?.[0],
      rtxSsrc: known[index]?.[1],
    }));
    return { encodings, rids: layers };
  }
  const rtxOf = (ssrc: number | undefined) => pairs.find(([first]) => first === ssrc)?.[1];
  const [group] = groupsOf(media, 'SIM');
  if (group && group.length > 1) {
    const encodings = group
      .slice(0, MAX_LAYERS)
      .map((ssrc, index) => ({ rid: String(index), ssrc, rtxSsrc: rtxOf(ssrc) }));
    return { encodings, rids: [] };
  }
  const ssrc = pairs[0]?.[0] ?? media.ssrcs?.[0]?.id;
  return { encodings: [{ ssrc, rtxSsrc: rtxOf(ssrc) }], rids: [] };
}

/** Our half: the layers that we take. RFC 8853 section 5.3. */
export function simulcastSection(rids: Simulcast['rids']): Partial<SdpMedia> {
  if (rids.length === 0) return {};
  return {
    rids: rids.map((rid) => ({ ...rid, direction: 'recv' })),
    simulcast: { dir1: 'recv', list1: rids.map(({ id }) => id).join(';') },
  };
}

function ridsOf(media: SdpMedia, payloadTypes: readonly number[]): Simulcast['rids'] {
  const { simulcast } = media;
  const list = simulcast?.dir1 === 'send' ? simulcast.list1 : simulcast?.dir2 === 'send' ? simulcast.list2 : undefined;
  if (list === undefined) return [];
  const taken: Simulcast['rids'] = [];
  for (const alternatives of String(list).split(';', MAX_LISTED)) {
    // Of alternatives the first is preferred; `~` says that it begins paused.
    const id = alternatives.split(',')[0]?.replace('~', '') ?? '';
    const rid = media.rids?.find((candidate) => String(candidate.id) === id && candidate.direction === 'send');
    const params = rid && acceptedRestrictions(rid.params, payloadTypes);
    const isNew = taken.every((other) => other.id !== id);
    if (params === undefined || !RID.test(id) || !isNew || taken.length === MAX_LAYERS) continue;
    taken.push({ id, direction: 'send', ...(params === '' ? {} : { params }) });
  }
  return taken;
}

/** The restrictions as the answer repeats them, '' for none; undefined when the layer cannot be taken with them. */
function acceptedRestrictions(params: string | undefined, payloadTypes: readonly number[]): string | undefined {
  const accepted: string[] = [];
  for (const restriction of (params ?? '').trim().split(';').filter(Boolean)) {
    const [name = '', value = ''] = restriction.trim().split('=');
    if (!RESTRICTIONS.includes(name)) return undefined;
    if (name !== 'pt') {
      accepted.push(restriction.trim());
      continue;
    }
    const types = value.split(',').filter((type) => payloadTypes.includes(Number(type)));
    if (types.length === 0) return undefined;
    accepted.push(`pt=${types.join(',')}`);
  }
  return accepted.join(';');
}

function groupsOf(media: SdpMedia, semantics: string): number[][] {
  return (media.ssrcGroups ?? [])
    .filter((group) => group.semantics === semantics)
    .map(({ ssrcs }) => String(ssrcs).split(' ').map(Number))
    .filter((ssrcs) => ssrcs.every((ssrc) => Number.isInteger(ssrc) && ssrc > 0 && ssrc <= 0xffffffff));
}
