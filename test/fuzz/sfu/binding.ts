import { ATTRIBUTE, CLASS, METHOD, StunWriter } from '@orama/turn/stun';
import type { Random } from '../../support/random.ts';

/** Attributes of ICE (RFC 8445 section 16.1). */
const PRIORITY = 0x0024;
const USE_CANDIDATE = 0x0025;
const ICE_CONTROLLED = 0x8029;
const ICE_CONTROLLING = 0x802a;

/** A connectivity check of a client, sound in most cases. */
export function makeBinding(
  server: { ufrag: string; password: string },
  client: { ufrag: string },
  random: Random,
): Buffer {
  const cls = random.chance(90) ? CLASS.request : random.pick(Object.values(CLASS));
  const writer = new StunWriter(METHOD.binding, cls, random.bytes(12));
  if (random.chance(95)) writer.text(ATTRIBUTE.username, `${server.ufrag}:${client.ufrag}`);
  writer.uint32(PRIORITY, random.below(2 ** 31));
  if (random.chance(30)) writer.flag(USE_CANDIDATE);
  // A tie-breaker of zero is what the StunFront is there for.
  const tieBreaker = random.chance(50) ? Buffer.alloc(8) : random.bytes(8);
  writer.bytes(random.chance(80) ? ICE_CONTROLLING : ICE_CONTROLLED, tieBreaker);
  if (random.chance(10)) writer.bytes(random.below(0x10000), random.bytes(random.below(60)));
  return writer.finish({
    key: random.chance(95) ? Buffer.from(server.password) : undefined,
    fingerprint: random.chance(90),
  });
}
